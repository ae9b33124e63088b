// Topic -> retained message, shared by all shards: the second of the two structures with a lock on the publish path.
//
// Striped by the topic's first level. A retained publish is stored, matched and handed to every shard's inbox (its own
// included) under its stripe; a subscriber inserts its filter first, then reads: so the last message a subscriber sees
// is the one that is retained. Any thread may call anything.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/core/message.hpp"

namespace fb::core {

/// Where a walk through the messages of one filter stands. It finds those that were stored before it began and have not
/// been replaced since: whatever is stored later is published to the subscriber anyway.
struct retained_walk {
    std::string filter;
    std::uint64_t up_to = 0; // version
    std::size_t stripe = 0;
    std::string after; // the last topic looked at in this stripe; empty: none yet
    bool done = false;
};

class retained {
  public:
    retained(std::uint64_t messages_max, std::uint64_t bytes_max)
        : messages_max_(messages_max)
        , bytes_max_(bytes_max) {}

    enum class outcome { stored, cleared, nothing_to_clear, full };

    /// Stores `m` (an empty payload clears: v5[MQTT-3.3.1-6]) and, still under the stripe, calls `while_held` with the
    /// version that orders the writers of this topic. When the store is full the message is not kept, but still routed.
    outcome store(const message_ptr& m, const std::function<void(outcome, std::uint64_t version)>& while_held);

    /// Takes out what has expired, and calls `gone` for each, under its stripe, with the version of its removal. Cheap
    /// when there is nothing.
    void drop_expired(std::int64_t mono_ms, const std::function<void(const message_ptr&, std::uint64_t version)>& gone);
    /// No room for a message of so many bytes on a new topic.
    bool full_for(std::size_t bytes) const noexcept {
        return message_count() >= messages_max_ || this->bytes() + bytes > bytes_max_;
    }

    /// REQUIRES: a valid filter, which is in the routing index already.
    retained_walk begin(std::string_view filter) const;
    /// Takes one step: appends some messages that match, expired ones left out. Bounded, so that no filter holds a
    /// stripe for long: it may find nothing and not be done.
    void next(retained_walk& w, std::int64_t mono_ms, std::vector<message_ptr>& out) const;
    /// Is it still what its topic retains?
    bool holds(const message& m) const;

    /// At start, from the state store.
    void restore(const message_ptr& m, std::uint64_t version);

    std::uint64_t message_count() const noexcept { return messages_.load(std::memory_order_relaxed); }
    std::uint64_t bytes() const noexcept { return bytes_.load(std::memory_order_relaxed); }

  private:
    static constexpr std::size_t stripe_count = 64;
    struct entry {
        message_ptr message;
        std::uint64_t version = 0;
    };
    struct stripe {
        mutable std::mutex mutex;
        std::map<std::string, entry, std::less<>> messages;
        std::set<std::pair<std::int64_t, std::string_view>> expiring; // (when, key of messages)
    };
    static std::size_t stripe_of(std::string_view topic) noexcept;
    static bool walk_stripe(const stripe& s, retained_walk& w, std::int64_t mono_ms, std::size_t& looks,
                            std::vector<message_ptr>& out);
    outcome replace(stripe& s, const message_ptr& m, std::uint64_t version);
    using place = std::map<std::string, entry, std::less<>>::iterator;
    void erase(stripe& s, place at);
    static void track_expiry(stripe& s, place at);
    static void forget_expiry(stripe& s, place at);

    const std::uint64_t messages_max_;
    const std::uint64_t bytes_max_;
    std::array<stripe, stripe_count> stripes_;
    std::atomic<std::uint64_t> messages_{0};
    std::atomic<std::uint64_t> bytes_{0};
    std::atomic<std::uint64_t> version_{0};
};

} // namespace fb::core
