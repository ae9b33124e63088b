// Watches one publisher's messages arrive at one subscriber: nothing lost, nothing twice, nothing out of order.
#pragma once

#include <cstdint>
#include <set>

namespace fb::fleet {

class sequence_checker {
  public:
    enum class verdict {
        next,      // as it should be; after a gap too, the missing ones are remembered
        reordered, // missing until now, so later ones overtook it
        doubled,   // seen before
    };

    verdict take(std::uint64_t sequence) {
        if (sequence == next_) {
            ++next_;
            return verdict::next;
        }
        return take_unexpected(sequence);
    }
    /// How many of the first `published` never came.
    std::uint64_t lost(std::uint64_t published) const;

  private:
    verdict take_unexpected(std::uint64_t sequence);

    std::uint64_t next_ = 0;
    std::set<std::uint64_t> missing_; // below next_
};

struct verification {
    std::uint64_t lost = 0;
    std::uint64_t doubled = 0;
    std::uint64_t reordered = 0;
    std::uint64_t strays = 0;  // to a subscriber that should not have it, or no message of ours
    std::uint64_t refused = 0; // acknowledged with an error

    /// QoS 1 allows a message twice; on connections that stayed up no broker here has a reason for it, so it counts.
    bool clean() const { return lost + doubled + reordered + strays + refused == 0; }
};

} // namespace fb::fleet
