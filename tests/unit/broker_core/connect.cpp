// CONNECT: who is let in, with which session, and what is refused. Method: transcripts over one simulated shard.
#include <doctest/doctest.h>

#include "tests/support/packets.hpp"
#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;
using core::close_cause;

namespace {
connect_options persistent(std::uint32_t expiry_s = 3600) {
    connect_options o;
    o.clean = false;
    o.expiry_s = expiry_s;
    return o;
}
} // namespace

TEST_CASE("a CONNECT is answered and the session ends with its connection when it has no expiry") {
    fail_at_every_step({}, [](broker& b) {
        auto& c = b.client("c");
        c.connect().expect("CONNACK 00").ping().expect("PINGRESP");
        c.disconnect().expect_closed(close_cause::client_disconnect);
        if (!b.muted()) CHECK(b.session_count() == 0);
    });
}

TEST_CASE("v5[MQTT-3.1.0-1] v311[MQTT-3.1.0-1] a first packet that is not CONNECT closes the connection unanswered") {
    broker b;
    b.client("c").open().ping().expect_closed(close_cause::refused);
    b.client("d").open().send_bytes("\x30").expect_closed(close_cause::refused); // its first byte says so
    b.client("e").open().send_bytes("GET").expect_closed(close_cause::refused);
    // Though the rest of it is a CONNECT.
    for (const char* body : {"<MQTT>05 02 0000 [] <c>", "<MQTT>04 02 0000 <c>"})
        b.client("c").open().send_bytes(packet_bytes(0x30, render(body))).expect_closed(close_cause::refused);
}

TEST_CASE("v5[MQTT-3.1.0-2] v311[MQTT-3.1.0-2] a second CONNECT is a protocol error") {
    broker b;
    auto& c = b.client("c");
    c.connect().expect("CONNACK 00").connect().expect("DISCONNECT 82").expect_closed(close_cause::protocol_violation);
}

TEST_CASE("a packet that only a server sends is a protocol error") {
    broker b;
    auto& c = b.client("c");
    for (const char first : {'\x20', '\x90', '\xb0', '\xd0'}) {
        c.connect().expect("CONNACK 00");
        c.send_bytes(std::string{first, '\0'}).expect("DISCONNECT 82").expect_closed(close_cause::protocol_violation);
    }
}

TEST_CASE("v5[MQTT-4.12.0-7] AUTH without an authentication method in CONNECT is a protocol error") {
    broker b;
    b.client("c")
        .connect()
        .expect("CONNACK 00")
        .send(proto::auth{})
        .expect("DISCONNECT 82")
        .expect_closed(close_cause::protocol_violation);
    proto::auth a;
    a.reason = proto::reason_code::reauthenticate;
    a.properties.authentication_method = "SCRAM-SHA-256";
    b.client("c").connect().expect("CONNACK 00").send(a).expect("DISCONNECT 82");
}

TEST_CASE("v5[MQTT-4.12.0-1] an authentication method that is not offered is refused") {
    broker b;
    proto::connect p;
    p.client_id = "c";
    p.properties.authentication_method = "SCRAM-SHA-1";
    b.client("c").open().send(p).expect("CONNACK 8c").expect_closed(close_cause::refused);
}

TEST_CASE("v5[MQTT-3.1.2-2] v311[MQTT-3.1.2-2] an unknown protocol level is answered so that old clients understand") {
    broker b;
    auto& c = b.client("c").speaking(proto::version::v3_1_1);
    c.open()
        .send_bytes(packet_bytes(0x10, render("<MQTT>07 02 0000 <c>")))
        .expect("CONNACK 84")
        .expect_closed(close_cause::refused);
    auto& old = b.client("old").speaking(proto::version::v3_1);
    old.open()
        .send_bytes(packet_bytes(0x10, render("<MQIsdp>03 02 0000 <c>")))
        .expect("CONNACK 84")
        .expect_closed(close_cause::refused);
    b.client("five").connect().expect("CONNACK 00");
    b.client_v311("three").connect().expect("CONNACK 00");
}

TEST_CASE("v5[MQTT-3.1.3-6] v5[MQTT-3.1.3-7] v5[MQTT-3.2.2-16] an empty client id gets one assigned, which stays on "
          "its shard") {
    broker_setup setup;
    setup.shards = 4;
    broker b(setup);
    auto& c = b.client("");
    std::string keep;
    const auto k = c.connect(persistent()).take_as<proto::connack>(keep);
    REQUIRE(k.properties.assigned_client_identifier.has_value());
    const std::string id(*k.properties.assigned_client_identifier);
    CHECK(core::home_shard(id, 4) == c.shard());
    c.cut();
    const auto own = b.client(id).connect(persistent()).take_as<proto::connack>(keep);
    CHECK(own.session_present);
    CHECK_FALSE(own.properties.assigned_client_identifier.has_value());
}

TEST_CASE(
    "v311[MQTT-3.1.3-6] v311[MQTT-3.1.3-7] v311[MQTT-3.1.3-8] an empty client id needs a clean session in 3.1.1") {
    broker b;
    auto& c = b.client_v311("");
    c.connect().expect("CONNACK 00");
    b.client_v311("another").named("").connect().expect("CONNACK 00");
    CHECK(b.session_count() == 2);
    c.ping().expect("PINGRESP");
    c.open().connect(persistent()).expect("CONNACK 85").expect_closed(close_cause::refused);
}

TEST_CASE("the client id of a device is its device id or begins with it and a slash") {
    broker b;
    b.client("dev1").device("dev1").connect().expect("CONNACK 00");
    b.client("dev1/maintenance").device("dev1").connect().expect("CONNACK 00");
    b.client("dev10").device("dev1").connect().expect("CONNACK 85").expect_closed(close_cause::refused);
    b.client("other").device("dev1").connect().expect("CONNACK 85").expect_closed(close_cause::refused);
    std::string keep;
    const auto k = b.client("").device("dev1").connect().take_as<proto::connack>(keep);
    CHECK(k.properties.assigned_client_identifier->starts_with("dev1/"));
}

TEST_CASE("where the listener says so a client id names the device, if it is a valid one") {
    broker b;
    b.client("dev 1").by_client_id().connect().expect("CONNACK 85").expect_closed(close_cause::refused);
    auto& c = b.client("dev1/x").by_client_id();
    c.connect().expect("CONNACK 00").subscribe("device/dev1/#").expect("SUBACK #1 02");
    c.subscribe("device/dev2/#").expect("SUBACK #2 87");
}

TEST_CASE("another identity can neither resume nor end a session") {
    broker b;
    auto& owner = b.client("c").as({core::principal_kind::password, "anna", {}, {}});
    owner.connect(persistent()).expect("CONNACK 00");
    auto& thief = b.client("thief").named("c").as({core::principal_kind::password, "boris", {}, {}});
    thief.connect(persistent()).expect("CONNACK 87").expect_closed(close_cause::refused);
    thief.open().connect().expect("CONNACK 87").expect_closed(close_cause::refused);
    owner.ping().expect("PINGRESP");
    CHECK(b.counts->connections.load() == 1);
}

TEST_CASE("v5[MQTT-3.1.4-3] v311[MQTT-3.1.4-2] a second connection with the same client id takes the session over") {
    fail_at_every_step({}, [](broker& b) {
        auto& first = b.client("first").named("c");
        auto& second = b.client("second").named("c");
        first.connect(persistent()).expect("CONNACK 00").subscribe("a").expect("SUBACK #1 02");
        second.connect(persistent()).expect("CONNACK 00 present");
        first.expect("DISCONNECT 8e").expect_closed(close_cause::taken_over);
        second.publish("a", "x").expect("PUBLISH a 'x' q0");
        if (!b.muted()) CHECK(b.total(&core::counters::takeovers) == 1);
    });
}

TEST_CASE("taking over a session that was not to outlive its connection begins a new one") {
    broker b;
    auto& first = b.client("first").named("c");
    auto& second = b.client("second").named("c");
    first.connect().expect("CONNACK 00").subscribe("a").expect("SUBACK #1 02");
    second.connect(persistent()).expect("CONNACK 00");
    second.publish("a", "x").expect_nothing();
    CHECK(b.session_count() == 1);
}

TEST_CASE("v5[MQTT-3.1.2-4] v5[MQTT-3.1.4-4] v5[MQTT-3.2.2-2] v311[MQTT-3.1.2-6] v311[MQTT-3.1.4-3] v311[MQTT-3.2.2-1] "
          "a clean start discards the session") {
    fail_at_every_step({}, [](broker& b) {
        auto& c = b.client("c");
        c.connect(persistent()).expect("CONNACK 00").subscribe("a").expect("SUBACK #1 02").cut();
        b.client("p").connect().expect("CONNACK 00").publish("a", "x", 1).expect("PUBACK #1");
        connect_options clean;
        clean.expiry_s = 3600;
        c.connect(clean).expect("CONNACK 00").expect_nothing();
        c.publish("a", "y").expect_nothing();
    });
}

TEST_CASE("v5[MQTT-3.1.2-5] v5[MQTT-3.1.2-6] v5[MQTT-3.2.2-3] v311[MQTT-3.1.2-4] v311[MQTT-3.1.2-5] v311[MQTT-3.2.2-2] "
          "v311[MQTT-3.2.2-3] a session is resumed when there is one") {
    broker b;
    auto& c = b.client_v311("c");
    c.connect(persistent()).expect("CONNACK 00").cut();
    c.connect(persistent()).expect("CONNACK 00 present").disconnect();
    auto& d = b.client("d");
    d.connect(persistent()).expect("CONNACK 00").disconnect();
    d.connect(persistent()).expect("CONNACK 00 present");
}

TEST_CASE("the CONNACK of a clean start waits until the old session's end is durable") {
    fail_at_every_step({}, [](broker& b) {
        auto& c = b.client("c");
        c.connect(persistent()).expect("CONNACK 00").subscribe("a").expect("SUBACK #1 02").cut();
        b.hold_commits();
        c.connect().expect_nothing().ping().expect_nothing();
        b.release_commits();
        c.expect("CONNACK 00").expect("PINGRESP");
    });
}

TEST_CASE("v5[MQTT-3.14.0-1] v5[MQTT-3.2.0-1] v311[MQTT-3.2.0-1] nothing but CONNACK is ever the first packet, also "
          "when the store hangs") {
    broker b;
    auto& c = b.client("c");
    c.connect(persistent()).expect("CONNACK 00").cut();
    b.hold_commits();
    proto::will w;
    w.topic = "w";
    connect_options o;
    o.will = w;
    b.client("watcher").connect().expect("CONNACK 00").subscribe("w").expect("SUBACK #1 02");
    c.connect(o).expect_nothing();
    b.peers.clear();
    b.after(11);
    c.expect("CONNACK 88").expect_closed(close_cause::not_durable);
    b.client("watcher").expect_nothing(); // its connection was never made: no will
    CHECK(b.peers.empty());
    b.release_commits();
}

TEST_CASE(
    "v5[MQTT-3.1.2-22] v311[MQTT-3.1.2-24] a client silent for one and a half keep-alive intervals is disconnected") {
    broker b;
    auto& c = b.client("c");
    connect_options o;
    o.keep_alive_s = 10;
    c.connect(o).expect("CONNACK 00");
    b.after(14);
    c.ping().expect("PINGRESP");
    b.after(14);
    c.expect_nothing();
    b.after(1);
    c.expect("DISCONNECT 8d").expect_closed(close_cause::keep_alive_timeout);
}

TEST_CASE("a keep-alive of zero turns the check off") {
    broker b;
    b.client("c").connect().expect("CONNACK 00");
    CHECK(b.engine().next_deadline_ms() != core::never); // of the connect timeout, once
    b.after(1'000'000);
    b.client("c").ping().expect("PINGRESP");
    CHECK(b.engine().next_deadline_ms() == core::never);
}

TEST_CASE("v5[MQTT-3.2.2-21] the configured keep-alive is told and used") {
    broker_setup setup;
    setup.limits.keep_alive_max_s = 20;
    broker b(setup);
    std::string keep;
    const auto k = b.client("c").connect().take_as<proto::connack>(keep);
    CHECK(k.properties.server_keep_alive_s == 20);
    b.after(31);
    b.client("c").expect("DISCONNECT 8d");
}

TEST_CASE("a connection without a complete CONNECT is closed in time") {
    broker b;
    auto& c = b.client("c").open().send_bytes("\x10");
    b.after(9);
    c.expect_nothing();
    b.after(1);
    c.expect_closed(close_cause::connect_timeout);
}

TEST_CASE("a first packet above connect_packet_bytes_max is refused by its announced length") {
    broker_setup setup;
    setup.limits.connect_packet_bytes_max = 200;
    broker b(setup);
    b.client("c").open().send_bytes("\x10\xff\x7f").expect("CONNACK 95").expect_closed(close_cause::refused);
}

TEST_CASE("v5[MQTT-4.13.1-1] v311[MQTT-4.8.0-1] a malformed CONNECT is not answered") {
    broker b;
    b.client("c")
        .open()
        .send_bytes(packet_bytes(0x10, render("<MQTT>05 03 0000 [] <c>")))
        .expect_closed(close_cause::refused);
}

TEST_CASE("connections_max and sessions_max refuse with quota exceeded") {
    broker_setup setup;
    setup.limits.connections_max = 2;
    setup.limits.sessions_max = 3;
    broker b(setup);
    b.client("a").connect(persistent()).expect("CONNACK 00");
    b.client("b").connect(persistent()).expect("CONNACK 00");
    b.client("c").connect().expect("CONNACK 97").expect_closed(close_cause::refused);
    b.client("a").cut();
    b.client("c").connect(persistent()).expect("CONNACK 00").cut();
    b.client("d").connect().expect("CONNACK 97").expect_closed(close_cause::refused);
    b.client("a").connect(persistent()).expect("CONNACK 00 present");
}

TEST_CASE("a will whose topic the client may not publish to refuses the CONNECT") {
    broker b;
    connect_options o;
    o.will.emplace();
    o.will->topic = "device/dev2/status";
    b.client("dev1").device("dev1").connect(o).expect("CONNACK 87").expect_closed(close_cause::refused);
    o.will->topic = "device/dev1/status";
    b.client("dev1").connect(o).expect("CONNACK 00");
}

TEST_CASE("a client id is limited to 256 bytes") {
    broker b;
    b.client(std::string(256, 'x')).connect().expect("CONNACK 00");
    b.client(std::string(257, 'x')).connect().expect("CONNACK 85");
}

TEST_CASE("CONNACK tells the gateway's limits and the time") {
    broker b;
    std::string keep;
    const auto k = b.client("c").connect().take_as<proto::connack>(keep);
    CHECK(k.properties.receive_maximum == core::limits{}.receive_maximum);
    CHECK(k.properties.maximum_packet_size == core::limits{}.packet_bytes_max);
    CHECK(k.properties.topic_alias_maximum == core::limits{}.topic_alias_in_max);
    CHECK(k.properties.shared_subscription_available.value_or(true));
    CHECK(k.properties.user.find("time") == "2026-11-22T10:00:00Z");
}

TEST_CASE("a gateway that keeps no sessions does not hold that against a client that asked for one") {
    broker_setup setup;
    setup.limits.session_expiry_max_s = 0;
    broker b(setup);
    std::string keep;
    auto& c = b.client("c").resume(100);
    CHECK(c.take_as<proto::connack>(keep).properties.session_expiry_s == 0);
    c.disconnect({}, 50u).expect_nothing(); // not 0x82: it was not 0 in CONNECT
    c.resume(100).expect("CONNACK 00");     // not present
}

TEST_CASE("session_expiry_max_s caps what is asked for, and says so") {
    broker_setup setup;
    setup.limits.session_expiry_max_s = 60;
    broker b(setup);
    std::string keep;
    const auto k = b.client("c").connect(persistent(3600)).take_as<proto::connack>(keep);
    CHECK(k.properties.session_expiry_s == 60);
    b.client("c").cut();
    b.after(61);
    CHECK(b.session_count() == 0);
}

TEST_CASE("a graceful stop tells everybody and keeps the sessions") {
    broker b;
    auto& c = b.client("c");
    c.connect(persistent()).expect("CONNACK 00").subscribe("a").expect("SUBACK #1 02");
    auto& waiting = b.client("waiting").open();
    b.stop();
    c.expect("DISCONNECT 8b").expect_closed(close_cause::server_stop);
    waiting.expect_closed(close_cause::server_stop);
    b.client("late").connect().expect("CONNACK 88").expect_closed(close_cause::refused);
    b.restart();
    c.connect(persistent()).expect("CONNACK 00 present");
}
