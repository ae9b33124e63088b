// When memory runs short: what is given up first, and who has to wait.
#include <algorithm>

#include "broker/core/engine.hpp"

namespace fb::core {
namespace {
constexpr std::int64_t held_looks_every_ms = 250;
constexpr std::size_t output_bytes_high_short = 16 << 10; // small enough for ten thousand readers that do not read
constexpr std::uint32_t backlog_messages_short = 16;
} // namespace

std::size_t engine::output_bytes_high() const noexcept {
    const std::size_t high = config_.limits.output_bytes_high;
    return memory_level() >= memory_level::full ? std::min(high, output_bytes_high_short) : high;
}

std::size_t engine::backlog_messages_max() const noexcept {
    const std::uint32_t most = config_.limits.backlog_messages_max;
    return memory_level() >= memory_level::full ? std::min(most, backlog_messages_short) : most;
}

/// Whoever publishes brings in more; who only reads gives memory back, and is read from as always.
void engine::hold(connection& c) {
    c.held_since_ms = now_.mono_ms;
    counters_.publishers_held.add();
    connection_deadlines_.arm(c.slot, now_.mono_ms + held_looks_every_ms);
}

/// True when that ended the connection.
bool engine::look_at_held(connection& c) {
    if (memory_level() < memory_level::full) {
        c.held_since_ms = never;
        resume_if_possible(c);
        return false;
    }
    if (now_.mono_ms - c.held_since_ms >= config_.limits.ack_wait_max_s * ms_per_s) {
        disconnect(c, proto::reason_code::quota_exceeded, close_cause::overload,
                   {"the gateway has no memory for more messages now; send it again later", "memory_bytes_max"});
        return true;
    }
    connection_deadlines_.arm(c.slot, now_.mono_ms + held_looks_every_ms);
    return false;
}

} // namespace fb::core
