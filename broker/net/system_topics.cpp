#include "broker/net/system_topics.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>

namespace fb::net {
namespace {

constexpr std::string_view prefix = "$SYS/broker/";
constexpr std::array<std::pair<const char*, double>, 3> windows{{{"/1min", 1}, {"/5min", 5}, {"/15min", 15}}};

std::string two_digits(double value) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%.2f", value);
    return text.data();
}

} // namespace

system_topics::system_topics(std::string version, std::int64_t mono_ms)
    : version_(std::move(version))
    , started_ms_(mono_ms)
    , last_ms_(mono_ms) {}

std::vector<system_value> system_topics::update(const system_totals& t, std::int64_t mono_ms) {
    const double elapsed_s = static_cast<double>(mono_ms - last_ms_) / 1000;
    last_ms_ = mono_ms;
    connected_maximum_ = std::max(connected_maximum_, t.connected);
    put("version", "fotabroker version " + version_);
    put("uptime", std::to_string((mono_ms - started_ms_) / 1000) + " seconds");
    const std::pair<const char*, std::uint64_t> numbers[] = {
        {"clients/connected", t.connected},
        {"clients/disconnected", t.sessions - std::min(t.sessions, t.connected)},
        {"clients/total", t.sessions},
        {"clients/maximum", connected_maximum_},
        {"clients/expired", t.sessions_expired},
        {"messages/received", t.packets_received},
        {"messages/sent", t.packets_sent},
        {"publish/messages/received", t.publishes_received},
        {"publish/messages/sent", t.publishes_sent},
        {"publish/messages/dropped", t.publishes_dropped},
        {"bytes/received", t.bytes_received},
        {"bytes/sent", t.bytes_sent},
        {"subscriptions/count", t.subscriptions},
        {"retained messages/count", t.retained},
    };
    for (const auto& [name, value] : numbers) put(name, std::to_string(value));
    const std::pair<const char*, std::uint64_t> loads[] = {
        {"load/sockets", t.sockets},
        {"load/connections", t.connections},
        {"load/messages/received", t.packets_received},
        {"load/messages/sent", t.packets_sent},
        {"load/publish/received", t.publishes_received},
        {"load/publish/sent", t.publishes_sent},
        {"load/publish/dropped", t.publishes_dropped},
        {"load/bytes/received", t.bytes_received},
        {"load/bytes/sent", t.bytes_sent},
    };
    for (const auto& [name, value] : loads) put_load(name, value, elapsed_s);
    return std::exchange(changed_, {});
}

void system_topics::put(std::string_view name, std::string value) {
    const auto known = told_.find(name);
    if (known != told_.end() && known->second == value) return;
    changed_.push_back({std::string(prefix) + std::string(name), value});
    told_.insert_or_assign(std::string(name), std::move(value));
}

void system_topics::put_load(std::string_view name, std::uint64_t total, double elapsed_s) {
    average& a = loads_[std::string(name)];
    const double rate = elapsed_s > 0 ? static_cast<double>(total - a.before) * 60 / elapsed_s : 0;
    a.before = total;
    for (std::size_t i = 0; i < windows.size(); ++i) {
        const double kept = std::exp(-elapsed_s / (60 * windows[i].second));
        a.per_minute[i] = rate + kept * (a.per_minute[i] - rate);
        put(std::string(name) + windows[i].first, two_digits(a.per_minute[i]));
    }
}

} // namespace fb::net
