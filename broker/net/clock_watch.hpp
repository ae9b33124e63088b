// Notices that somebody set the wall clock: it went further than the monotonic one, or less far. Deadlines do not go by
// it, but what is stored with a time does at the next start, so people are told. One thread.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <utility>

#include "broker/core/clock.hpp"

namespace fb::net {

class clock_watch {
  public:
    explicit clock_watch(const core::instant& now)
        : ahead_ms_(now.unix_ms - now.mono_ms) {}

    /// By how much it was set since the last look; 0: it was not, or only by as little as time servers do all the time.
    std::int64_t jump_ms(const core::instant& now) noexcept {
        const std::int64_t ahead_ms = now.unix_ms - now.mono_ms;
        const std::int64_t jump_ms = ahead_ms - std::exchange(ahead_ms_, ahead_ms);
        return std::abs(jump_ms) < smallest_ms ? 0 : jump_ms;
    }

  private:
    static constexpr std::int64_t smallest_ms = 5000;
    std::int64_t ahead_ms_;
};

} // namespace fb::net
