// Both clocks at once, for the shells.
#pragma once

#include <ctime>

#include "broker/core/clock.hpp"

namespace fb::net {

inline core::instant time_now() {
    timespec mono{}, wall{};
    ::clock_gettime(CLOCK_MONOTONIC, &mono);
    ::clock_gettime(CLOCK_REALTIME, &wall);
    return {mono.tv_sec * 1000ll + mono.tv_nsec / 1'000'000, wall.tv_sec * 1000ll + wall.tv_nsec / 1'000'000};
}

} // namespace fb::net
