#include "broker/core/match_cache.hpp"

#include <bit>

namespace fb::core {
namespace {

constexpr std::size_t seen_bits_each = 16; // of one topic in 16 at most is it wrong to say that it was seen
constexpr std::size_t worth_keeping = 32;  // subscribers: making the list again takes longer than its bookkeeping

/// What a list counts in the cache.
std::size_t weight(const match_list& list) noexcept {
    return list.entries.size() + list.own.size() + list.shares.size();
}

} // namespace

match_cache::match_cache(const routing_index& index, std::size_t entries_max)
    : index_(index)
    , entries_max_(entries_max)
    , seen_(std::bit_ceil(entries_max) * seen_bits_each) {}

match_list_ptr match_cache::lookup(std::string_view topic) {
    const std::uint64_t version = index_.version(topic); // read before matching: the index's invariant (3)
    auto it = entries_.find(topic);
    if (it != entries_.end() && it->second.version == version) return it->second.list;
    match_list_ptr list;
    if (it == entries_.end()) {
        list = seen_before(topic) ? index_.match(topic) : match_once(topic);
        if (list == once_) {
            if (weight(*list) < worth_keeping) return list;
            once_.reset(); // it is kept, so nobody may change it
        }
        if (entries_.size() >= entries_max_ || held_ >= entries_max_ * 64) {
            entries_.clear();
            held_ = 0;
        }
        it = entries_.emplace(std::string(topic), entry{}).first;
    } else {
        list = index_.match(topic);
        held_ -= weight(*it->second.list);
    }
    held_ += weight(*list);
    it->second = entry{version, list};
    return list;
}

/// Some topics are taken for others and kept too early, which does no harm.
bool match_cache::seen_before(std::string_view topic) noexcept {
    const std::size_t bit = hash{}(topic) & (seen_.size() - 1);
    if (seen_[bit]) return true;
    if (++seen_count_ > entries_max_) {
        seen_.assign(seen_.size(), false);
        seen_count_ = 1;
    }
    seen_[bit] = true;
    return false;
}

match_list_ptr match_cache::match_once(std::string_view topic) {
    const bool mine = once_ && once_->use_count() == 1; // else the last one is still on its way to another shard
    if (!mine) once_ = new match_list;
    index_.match(topic, *once_);
    return once_;
}

} // namespace fb::core
