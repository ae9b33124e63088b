// Deadlines of one shard: a heap, earliest first. Entries are never cancelled; their owner looks, when one comes due,
// whether it still means anything, and arms it again if it came too early. One thread.
#pragma once

#include <cstdint>
#include <queue>
#include <vector>

#include "broker/core/clock.hpp"

namespace fb::core {

enum class timer_kind : std::uint8_t {
    connect,        // of a connection: CONNECT must be complete
    keep_alive,     // of a connection: one and a half keep-alive intervals without a packet (v5[MQTT-3.1.2-22])
    ack_wait,       // of a connection: the oldest acknowledgement still waits for its commit
    session_expiry, // of a session without connection
    will_delay,     // of a session without connection
};

class timers {
  public:
    struct entry {
        std::int64_t when_ms = never; // monotonic
        timer_kind kind{};
        std::uint32_t slot = 0; // of the connection or session
        std::uint32_t generation = 0;
    };

    void arm(std::int64_t when_ms, timer_kind kind, std::uint32_t slot, std::uint32_t generation) {
        heap_.push({when_ms, kind, slot, generation});
    }
    std::int64_t next() const { return heap_.empty() ? never : heap_.top().when_ms; }
    /// Takes the earliest entry if it is due.
    bool pop_due(std::int64_t mono_ms, entry& out) {
        if (heap_.empty() || heap_.top().when_ms > mono_ms) return false;
        out = heap_.top();
        heap_.pop();
        return true;
    }

  private:
    struct later {
        bool operator()(const entry& a, const entry& b) const noexcept { return a.when_ms > b.when_ms; }
    };
    std::priority_queue<entry, std::vector<entry>, later> heap_;
};

} // namespace fb::core
