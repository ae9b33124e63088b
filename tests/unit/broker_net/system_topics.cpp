// $SYS topics from totals.
#include "broker/net/system_topics.hpp"

#include <doctest/doctest.h>

using fb::net::system_topics;
using fb::net::system_totals;

namespace {

std::string value_of(const std::vector<fb::net::system_value>& values, const std::string& name) {
    for (const auto& v : values) {
        if (v.topic == "$SYS/broker/" + name) return v.payload;
    }
    return "(unchanged)";
}

} // namespace

TEST_CASE("the first update says everything, later ones what changed") {
    system_topics topics("1.2.3", 5000);
    system_totals t;
    t.connected = 3;
    t.sessions = 5;
    auto values = topics.update(t, 5000);
    CHECK(value_of(values, "version") == "fotabroker version 1.2.3");
    CHECK(value_of(values, "uptime") == "0 seconds");
    CHECK(value_of(values, "clients/connected") == "3");
    CHECK(value_of(values, "clients/disconnected") == "2");
    CHECK(value_of(values, "clients/total") == "5");
    CHECK(value_of(values, "load/publish/sent/15min") == "0.00");

    t.connected = 1;
    values = topics.update(t, 15'000);
    CHECK(value_of(values, "version") == "(unchanged)");
    CHECK(value_of(values, "uptime") == "10 seconds");
    CHECK(value_of(values, "clients/connected") == "1");
    CHECK(value_of(values, "clients/maximum") == "(unchanged)");
}

TEST_CASE("loads are averages per minute that follow a steady rate, the short windows first") {
    system_topics topics("1", 0);
    system_totals t;
    topics.update(t, 0);
    std::vector<fb::net::system_value> values;
    for (int i = 1; i <= 6; ++i) { // 100 a second for a minute
        t.publishes_received += 1000;
        values = topics.update(t, i * 10'000);
    }
    const double one = std::stod(value_of(values, "load/publish/received/1min"));
    const double five = std::stod(value_of(values, "load/publish/received/5min"));
    CHECK(one == doctest::Approx(6000 * (1 - 1 / 2.718281828)).epsilon(0.001));
    CHECK(five == doctest::Approx(6000 * (1 - 0.8187307531)).epsilon(0.001));
    for (int i = 7; i <= 600; ++i) {
        t.publishes_received += 1000;
        values = topics.update(t, i * 10'000);
    }
    CHECK(value_of(topics.update(t, 6'000'001), "load/publish/received/1min") != "6000.00");
}
