#include "bench/fleet/phase.hpp"

#include <ctime>

namespace fb::fleet {

std::uint64_t clock_ns() {
    timespec t{};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000ULL + static_cast<std::uint64_t>(t.tv_nsec);
}

void phase::begin(const process_meter& broker) {
    broker_cpu_ns_ = broker.cpu_ns();
    began_ns_ = clock_ns();
}

void phase::finished(std::uint64_t messages) {
    took_ns_ = clock_ns() - began_ns_;
    messages_ = messages;
}

} // namespace fb::fleet
