#include "bench/fleet/sequence_checker.hpp"

namespace fb::fleet {
namespace {

constexpr std::uint64_t gap_max = 1'000'000; // a longer one is garbage, not a gap to keep a list of

} // namespace

sequence_checker::verdict sequence_checker::take_unexpected(std::uint64_t sequence) {
    if (sequence < next_) return missing_.erase(sequence) == 1 ? verdict::reordered : verdict::doubled;
    if (sequence - next_ > gap_max) return verdict::reordered;
    for (; next_ < sequence; ++next_) missing_.insert(next_);
    ++next_;
    return verdict::next;
}

std::uint64_t sequence_checker::lost(std::uint64_t published) const {
    return missing_.size() + (published > next_ ? published - next_ : 0);
}

} // namespace fb::fleet
