// Every refusal that can carry words carries them, and names the bound where one is the reason.
#include <doctest/doctest.h>

#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;
using proto::reason_code;

namespace {

constexpr proto::user_properties::pair one_too_many{"a", "b"};

template <class Properties>
std::string words(const Properties& p) {
    std::string out(p.reason_string.value_or(""));
    if (const auto limit = p.user.find("limit")) out += " [" + std::string(*limit) + "]";
    return out;
}

broker_setup tight_limits() {
    broker_setup setup;
    setup.limits.topic_bytes_max = 64;
    setup.limits.topic_levels_max = 4;
    setup.limits.user_properties_max = 1;
    setup.limits.subscriptions_max = 1;
    setup.limits.connections_max = 2;
    setup.limits.receive_maximum = 1;
    setup.limits.packet_bytes_max = 1024;
    return setup;
}

proto::publish to(std::string_view topic) {
    proto::publish p;
    p.topic = topic;
    p.quality = proto::qos::at_least_once;
    p.id = 1;
    return p;
}

} // namespace

TEST_CASE("a refused PUBLISH says why") {
    broker b(tight_limits());
    std::string keep;
    auto& c = b.client("c").connect().expect("CONNACK 00");
    const auto answer = [&](const proto::publish& p) {
        return words(c.send(p).take_as<proto::puback>(keep).properties);
    };
    CHECK(answer(to(std::string(65, 'x'))) == "the topic is longer than this gateway allows [topic_bytes_max]");
    CHECK(answer(to("a/b/c/d/e")) == "the topic has more levels than this gateway allows [topic_levels_max]");
    CHECK(answer(to("$SYS/x")) == "$SYS/ belongs to the gateway");
    proto::publish p = to("a");
    p.properties.user = {one_too_many, one_too_many};
    CHECK(answer(p) == "more user properties than this gateway allows [user_properties_max]");
    c.pubrel(9);
    CHECK(words(c.take_as<proto::pubcomp>(keep).properties) == "no QoS 2 message with this packet identifier is open");
    c.pubrec(9);
    CHECK(words(c.take_as<proto::pubrel>(keep).properties) == "no message with this packet identifier is in flight");
}

TEST_CASE("a refused filter says which and why") {
    broker b(tight_limits());
    std::string keep;
    auto& c = b.client("c").connect().expect("CONNACK 00");
    c.subscribe_all({{"a", {}}, {"b", {}}, {std::string_view("a/b/c/d/e"), {}}});
    CHECK(words(c.take_as<proto::suback>(keep).properties) ==
          "filter 2: this client has as many as it may have [subscriptions_max]");
    auto& d = b.client("dev1").device("dev1").connect().expect("CONNACK 00");
    d.subscribe("#", 0);
    CHECK(words(d.take_as<proto::suback>(keep).properties) == "filter 1: this client may not subscribe to it");
    proto::subscribe p;
    p.id = 5;
    p.requests = {{"x", {}}};
    p.properties.user = {one_too_many, one_too_many};
    d.send(p);
    CHECK(words(d.take_as<proto::disconnect>(keep).properties) ==
          "more user properties than this gateway allows [user_properties_max]");
    proto::unsubscribe u;
    u.id = 6;
    u.filters = {"a"};
    u.user = {one_too_many, one_too_many};
    c.send(u).expect("DISCONNECT 97");
}

TEST_CASE("a refused CONNECT says why") {
    broker b(tight_limits());
    std::string keep;
    b.client("1").connect().expect("CONNACK 00");
    b.client("2").connect().expect("CONNACK 00");
    CHECK(words(b.client("3").connect().take_as<proto::connack>(keep).properties) ==
          "there is no room for another connection [connections_max]");
    proto::connect p;
    p.client_id = "4";
    p.properties.user = {one_too_many, one_too_many};
    CHECK(words(b.client("4").open().send(p).take_as<proto::connack>(keep).properties) ==
          "more user properties than this gateway allows [user_properties_max]");
}

TEST_CASE("a DISCONNECT says why") {
    broker b(tight_limits());
    std::string keep;
    auto& large = b.client("large").connect().expect("CONNACK 00");
    large.publish("a", std::string(2000, 'x'));
    CHECK(words(large.take_as<proto::disconnect>(keep).properties).ends_with("[packet_bytes_max]"));
    b.subscribe_local("a"); // which takes its time
    auto& eager = b.client("eager").connect().expect("CONNACK 00");
    eager.publish("a", "x", 1).publish("a", "x", 1);
    CHECK(words(eager.take_as<proto::disconnect>(keep).properties).ends_with("[receive_maximum]"));
}

TEST_CASE("v5[MQTT-3.1.2-29] who asked for no problem information gets reasons without words, but for CONNACK and "
          "DISCONNECT") {
    broker b(tight_limits());
    std::string keep;
    connect_options silent;
    silent.problem_information = false;
    auto& c = b.client("c").connect(silent).expect("CONNACK 00");
    CHECK(words(c.send(to("$SYS/x")).take_as<proto::puback>(keep).properties).empty());
    c.subscribe("a/b/c/d/e", 0);
    CHECK(words(c.take_as<proto::suback>(keep).properties).empty());
    c.pubrel(9);
    CHECK(words(c.take_as<proto::pubcomp>(keep).properties).empty());
    c.publish("a", std::string(2000, 'x'));
    CHECK(words(c.take_as<proto::disconnect>(keep).properties).ends_with("[packet_bytes_max]"));
}

TEST_CASE("v5[MQTT-3.1.2-28] response information is given to those who ask") {
    broker b;
    std::string keep;
    const auto base = [&](client& c, bool ask) {
        proto::connect p;
        p.client_id = c.id();
        p.properties.request_response_information = ask;
        return std::string(c.open().send(p).take_as<proto::connack>(keep).properties.response_information.value_or(""));
    };
    CHECK(base(b.client("c"), true) == "response/c");
    CHECK(base(b.client("c"), false).empty());
    CHECK(base(b.client("a+b"), true).empty());
    CHECK(base(b.client("dev1").device("dev1"), true) == "device/dev1/response");
}
