// The two times every event carries. Deadlines live on the monotonic one (a wall-clock jump must not kick anybody); the
// wall clock is for what is stored or told.
#pragma once

#include <cstdint>
#include <limits>

namespace fb::core {

struct instant {
    std::int64_t mono_ms = 0; // CLOCK_MONOTONIC, milliseconds
    std::int64_t unix_ms = 0; // UTC, milliseconds since 1970
};

inline constexpr std::int64_t ms_per_s = 1000;
inline constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

} // namespace fb::core
