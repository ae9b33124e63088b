// The broker's statistics as MQTT topics: $SYS/broker/..., with mosquitto's names where the meaning is the same, so
// that dashboards made for it go on working. Given totals from time to time, it says which topics have a new value. One
// thread, no clock of its own.
//
// The load topics are moving averages per minute over 1, 5 and 15 minutes, as mosquitto makes them: each interval's
// rate enters with weight 1 - exp(-interval / window).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fb::net {

/// Sums over all shards since the start, unless they say otherwise.
struct system_totals {
    std::uint64_t connected = 0; // at this moment
    std::uint64_t sessions = 0;  // at this moment, connected or not
    std::uint64_t sessions_expired = 0;
    std::uint64_t sockets = 0;     // accepted
    std::uint64_t connections = 0; // CONNECTs accepted
    std::uint64_t packets_received = 0;
    std::uint64_t packets_sent = 0;
    std::uint64_t publishes_received = 0;
    std::uint64_t publishes_sent = 0;
    std::uint64_t publishes_dropped = 0;
    std::uint64_t bytes_received = 0;
    std::uint64_t bytes_sent = 0;
    std::uint64_t subscriptions = 0; // at this moment
    std::uint64_t retained = 0;      // at this moment
};

struct system_value {
    std::string topic;
    std::string payload;
};

class system_topics {
  public:
    system_topics(std::string version, std::int64_t mono_ms);
    /// What is different from the last call; everything at the first one.
    std::vector<system_value> update(const system_totals& now, std::int64_t mono_ms);

  private:
    struct average {
        std::uint64_t before = 0;
        std::array<double, 3> per_minute{};
    };
    void put(std::string_view name, std::string value);
    void put_load(std::string_view name, std::uint64_t total, double elapsed_s);

    std::string version_;
    std::int64_t started_ms_;
    std::int64_t last_ms_;
    std::uint64_t connected_maximum_ = 0;
    std::map<std::string, average, std::less<>> loads_;
    std::map<std::string, std::string, std::less<>> told_;
    std::vector<system_value> changed_;
};

} // namespace fb::net
