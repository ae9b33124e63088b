// One measured phase of a run: how many messages, in what time, and what the broker used for them.
//
// The clock stops with finished(); the broker's CPU time is read at settled(), `settle` later: what it still has to do
// for the last messages counts, the wait does not.
#pragma once

#include <chrono>
#include <cstdint>

#include "bench/fleet/process_meter.hpp"

namespace fb::fleet {

/// CLOCK_MONOTONIC.
std::uint64_t clock_ns();

class phase {
  public:
    static constexpr std::chrono::milliseconds settle{200};

    void begin(const process_meter& broker);
    void finished(std::uint64_t messages);
    void settled(const process_meter& broker) { broker_cpu_ns_ = broker.cpu_ns() - broker_cpu_ns_; }

    std::uint64_t messages() const { return messages_; }
    double seconds() const { return static_cast<double>(took_ns_) / 1e9; }
    double broker_cpu_s() const { return static_cast<double>(broker_cpu_ns_) / 1e9; }
    double per_second() const { return rate(took_ns_); }
    /// 0 when the broker's CPU time is not known.
    double per_broker_cpu_second() const { return rate(broker_cpu_ns_); }

  private:
    double rate(std::uint64_t ns) const {
        return ns == 0 ? 0 : static_cast<double>(messages_) * 1e9 / static_cast<double>(ns);
    }

    std::uint64_t messages_ = 0;
    std::uint64_t began_ns_ = 0;
    std::uint64_t took_ns_ = 0;
    std::uint64_t broker_cpu_ns_ = 0; // until settled(): at the beginning
};

} // namespace fb::fleet
