// Statements about connections and sessions that the tests of behaviour beside this file do not show by themselves.
// Method: transcripts, in both versions where both demand it.
#include <doctest/doctest.h>

#include "tests/support/packets.hpp"
#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;
using core::close_cause;
using proto::reason_code;
using proto::version;

namespace {

connect_options kept(std::uint32_t expiry_s = 3600) {
    connect_options o;
    o.clean = false;
    o.expiry_s = expiry_s;
    return o;
}

std::string connect_bytes(version v, const std::string& id) {
    proto::connect p;
    p.protocol = v;
    p.client_id = id;
    return encode_any(p, v);
}

} // namespace

TEST_CASE("v5[MQTT-3.1.4-5] v5[MQTT-3.2.0-2] v5[MQTT-3.2.2-9] one CONNACK of success, without a Maximum QoS") {
    broker b;
    std::string keep;
    auto& c = b.client("c").connect();
    const auto k = c.take_as<proto::connack>(keep);
    CHECK(k.reason == reason_code::success);
    CHECK_FALSE(k.properties.maximum_qos.has_value());
    c.ping().expect("PINGRESP").expect_nothing();
}

TEST_CASE("v311[MQTT-3.1.4-4] an accepted CONNECT is answered with return code 0") {
    broker b;
    CHECK(b.client_v311("c").connect().take_bytes() == std::string("\x20\x02\0\0", 4));
}

TEST_CASE("v5[MQTT-3.1.3-10] the user properties of a will keep their order") {
    broker b;
    auto& s = b.client("s").connect().expect("CONNACK 00").subscribe("w", 0).expect("SUBACK #1 00");
    connect_options o;
    o.will.emplace();
    o.will->topic = "w";
    o.will->properties.user = {{"b", "1"}, {"a", "2"}, {"b", "0"}};
    b.client("c").connect(o).expect("CONNACK 00").cut();
    std::string keep;
    using pairs = std::vector<proto::user_properties::pair>;
    CHECK(s.take_as<proto::publish>(keep).properties.user.to_vector() == pairs{{"b", "1"}, {"a", "2"}, {"b", "0"}});
}

TEST_CASE("v5[MQTT-3.1.3-2] v311[MQTT-3.1.3-2] the session is that of the client identifier, spelled exactly") {
    for (const version v : both) {
        broker b;
        b.client("name", v).connect(kept()).expect("CONNACK 00").cut();
        b.client("Name", v).connect(kept()).expect("CONNACK 00").cut();
        b.client("name2", v).connect(kept()).expect("CONNACK 00").cut();
        b.client("name", v).connect(kept()).expect("CONNACK 00 present");
        CHECK(b.session_count() == 3);
    }
}

TEST_CASE("v5[MQTT-3.1.3-5] v311[MQTT-3.1.3-5] identifiers of 1 to 23 letters and digits are accepted") {
    for (const version v : both) {
        broker b;
        const std::string all = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        for (std::size_t at = 0; at < all.size(); ++at) {
            b.client(all.substr(at, 1), v).connect().expect("CONNACK 00");
            b.client((all + all).substr(at, 23), v).connect().expect("CONNACK 00");
        }
    }
}

TEST_CASE("v5[MQTT-3.1.3-8] v311[MQTT-3.1.3-9] v311[MQTT-3.2.2-5] a refused identifier is answered and the connection "
          "closed") {
    broker b;
    b.client("dev2").device("dev1").connect().expect("CONNACK 85").expect_closed(close_cause::refused);
    auto& old = b.client_v311("dev3").device("dev1").connect();
    CHECK(old.take_bytes() == std::string("\x20\x02\0\x02", 4));
    old.expect_closed(close_cause::refused);
}

TEST_CASE("v5[MQTT-3.1.4-1] v5[MQTT-3.1.2-1] v311[MQTT-3.1.4-1] v311[MQTT-3.1.2-1] v311[MQTT-3.2.2-6] what is not a "
          "CONNECT of the format is not answered, and the connection closed") {
    broker b;
    for (const char* body : {"<MQTT>05 03 0000 [] <c>", "<MQTT>04 03 0000 <c>", "<HTTP>05 02 0000 [] <c>"})
        b.client("c").open().send_bytes(packet_bytes(0x10, render(body))).expect_closed(close_cause::refused);
    b.client("good").open().send_bytes(connect_bytes(version::v5, "good")).expect("CONNACK 00");
}

TEST_CASE(
    "v5[MQTT-3.1.4-2] v5[MQTT-3.2.2-7] v5[MQTT-3.2.2-8] v5[MQTT-4.13.2-1] v5[MQTT-3.2.2-6] v311[MQTT-3.2.2-4] who "
    "is not authorised hears why, of no session, and the connection is closed") {
    for (const version v : both) {
        broker b;
        b.client("dev1", v).device("dev1").connect(kept()).expect("CONNACK 00").cut();
        connect_options o = kept();
        o.will.emplace();
        o.will->topic = "device/dev2/status";
        auto& c = b.client("dev1", v).connect(o).expect("CONNACK 87").expect_closed(close_cause::refused);
        CHECK(b.session_count() == 1);
        c.connect(kept()).expect("CONNACK 00 present");
    }
}

TEST_CASE("v5[MQTT-3.1.4-6] v311[MQTT-3.1.4-5] what follows a refused CONNECT is not processed") {
    for (const version v : both) {
        broker b;
        auto& s = b.client("s").connect().expect("CONNACK 00").subscribe("#", 0).expect("SUBACK #1 00");
        proto::publish p;
        p.topic = "a";
        const std::string too_long(300, 'x');
        auto& c = b.client("c", v).open().send_bytes(connect_bytes(v, too_long) + encode_any(p, v));
        c.expect("CONNACK 85").expect_closed(close_cause::refused);
        s.expect_nothing();
        CHECK(b.total(&core::counters::publishes_received) == 0);
        // What follows an accepted one is.
        auto& good = b.client("good", v).open();
        good.send_bytes(connect_bytes(v, "good") + encode_any(proto::pingreq{}, v));
        good.expect("CONNACK 00").expect("PINGRESP");
    }
}

TEST_CASE("v5[MQTT-3.1.4-6] v311[MQTT-3.1.4-5] bytes for a connection that is being closed are swallowed") {
    broker_setup setup;
    broker b(setup);
    auto& e = b.engine();
    const auto h = e.open({std::make_shared<core::principal>(), "192.0.2.1"}, b.now());
    const std::string ping = encode_any(proto::pingreq{}, version::v5);
    CHECK(e.receive(h, ping, b.now()) == ping.size());
    const std::string good = connect_bytes(version::v5, "late");
    CHECK(e.receive(h, good, b.now()) == good.size());
    CHECK(e.session_count() == 0);
    CHECK(e.statistics().protocol_violations.get() == 1);
    e.closed(h, b.now());
}

TEST_CASE("v5[MQTT-3.12.4-1] v311[MQTT-3.12.4-1] PINGREQ is answered with PINGRESP") {
    for (const version v : both) {
        broker b;
        b.client("c", v).connect().expect("CONNACK 00").ping().expect("PINGRESP").expect_nothing();
    }
}

TEST_CASE("v5[MQTT-3.14.2-2] v5[MQTT-3.14.4-1] v5[MQTT-3.14.4-2] v5[MQTT-4.13.1-1] v5[MQTT-4.13.2-1] DISCONNECT is the "
          "last packet of the server, has no session expiry, and the connection is closed") {
    broker b;
    std::string keep;
    auto& c = b.client("c").connect(kept()).expect("CONNACK 00").subscribe("a", 0).expect("SUBACK #1 00");
    c.send_bytes(std::string("\x36\x05\0\1a\0\1", 7)); // QoS 3
    const auto d = c.take_as<proto::disconnect>(keep);
    CHECK(d.reason == reason_code::malformed_packet);
    CHECK_FALSE(d.properties.session_expiry_s.has_value());
    b.client("p").connect().expect("CONNACK 00").publish("a", "x");
    c.expect_closed(close_cause::protocol_violation);
}

TEST_CASE("v5[MQTT-3.14.4-1] what comes after the server's DISCONNECT is not answered") {
    broker b;
    auto& e = b.engine();
    const auto h = e.open({std::make_shared<core::principal>(), "192.0.2.1"}, b.now());
    const std::string ping = encode_any(proto::pingreq{}, version::v5);
    e.receive(h, connect_bytes(version::v5, "c") + ping + std::string("\x36\0", 2), b.now());
    const std::size_t size = e.output_size(h);
    CHECK(size > 0);
    e.receive(h, ping, b.now());
    CHECK(e.output_size(h) == size);
    e.closed(h, b.now());
}

TEST_CASE("v5[MQTT-3.14.4-1] nothing is written to a connection whose DISCONNECT is still on its way out") {
    broker b;
    auto& c = b.client("c").connect(kept()).expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
    auto& p = b.client("p").connect().expect("CONNACK 00").publish("a", "1", 1).expect("PUBACK #1");
    c.expect("PUBLISH a '1' q1 #1");
    b.client("again").named("c").connect(kept()).expect("CONNACK 00 present").expect("PUBLISH a '1' q1 #1 dup");
    p.publish("a", "2", 1);
    c.expect("DISCONNECT 8e").expect_closed(close_cause::taken_over);
}

TEST_CASE("v311[MQTT-2.2.2-2] v311[MQTT-4.8.0-1] wrong flags end the connection") {
    broker b;
    auto& c = b.client_v311("c");
    for (const char first : {'\x60', '\x80', '\xa0', '\xc1', '\xe1', '\x41'})
        c.connect()
            .expect("CONNACK 00")
            .send_bytes(std::string{first, '\x02', '\0', '\1'})
            .expect_closed(close_cause::protocol_violation);
}

TEST_CASE("v5[MQTT-3.2.2-12] v5[MQTT-3.2.2-13] a will may be retained and of any QoS") {
    for (const auto quality : {proto::qos::at_most_once, proto::qos::at_least_once, proto::qos::exactly_once}) {
        broker b;
        connect_options o;
        o.will.emplace();
        o.will->topic = "w";
        o.will->payload = "gone";
        o.will->quality = quality;
        o.will->retain = true;
        auto& s = b.client("s").connect().expect("CONNACK 00").subscribe("w", 2).expect("SUBACK #1 02");
        b.client("c").connect(o).expect("CONNACK 00").cut();
        const std::string q = " q" + std::to_string(static_cast<int>(quality)) + (quality == proto::qos{} ? "" : " #1");
        s.expect("PUBLISH w 'gone'" + q);
        b.client("late").connect().subscribe("w", 2).expect("CONNACK 00").expect("PUBLISH w 'gone'" + q + " retain");
    }
}

TEST_CASE("v5[MQTT-3.2.2-22] without a Server Keep Alive the client's own holds") {
    broker b;
    std::string keep;
    connect_options o;
    o.keep_alive_s = 10;
    auto& c = b.client("c").connect(o);
    CHECK_FALSE(c.take_as<proto::connack>(keep).properties.server_keep_alive_s.has_value());
    b.after_ms(14'999);
    c.expect_nothing();
    b.after_ms(1);
    c.expect("DISCONNECT 8d").expect_closed(close_cause::keep_alive_timeout);
}

TEST_CASE("v5[MQTT-4.2.0-1] v5[MQTT-7.1.1-1] packets are the same however the stream of bytes is cut up") {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{1000}}) {
        broker_setup setup;
        setup.feed_bytes = piece;
        broker b(setup);
        auto& c = b.client("c").connect().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
        c.publish("a", std::string(200, 'x')).publish("a", "y", 1);
        c.expect("PUBLISH a '" + std::string(40, 'x') + "'+160 q0").expect("PUBLISH a 'y' q1 #1").expect("PUBACK #2");
    }
}

TEST_CASE("v5[MQTT-4.1.0-1] v311[MQTT-4.1.0-1] v311[MQTT-4.1.0-2] a session that outlived its expiry while connected "
          "is still there") {
    for (const version v : both) {
        broker_setup setup;
        setup.limits.session_expiry_max_s = 100;
        broker b(setup);
        auto& c =
            b.client("c", v).connect(kept(100)).expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01").cut();
        b.after(50);
        c.connect(kept(100)).expect("CONNACK 00 present");
        b.after(200);
        c.publish("a", "x").expect("PUBLISH a 'x' q0").cut();
        c.connect(kept(100)).expect("CONNACK 00 present");
    }
}

TEST_CASE("v311[MQTT-3.1.2-12] a connection without a will ends in silence") {
    broker b;
    auto& s = b.client("s").connect().expect("CONNACK 00").subscribe("#", 0).expect("SUBACK #1 00");
    b.client_v311("c").connect().expect("CONNACK 00").cut();
    s.expect_nothing();
    CHECK(b.total(&core::counters::wills_published) == 0);
}

TEST_CASE("v311[MQTT-3.1.2-7] retained messages outlive the session of their publisher") {
    broker b;
    publish_options o;
    o.retain = true;
    b.client_v311("c").connect().expect("CONNACK 00").publish("a", "kept", 0, o).disconnect();
    CHECK(b.session_count() == 0);
    b.client_v311("s").connect().subscribe("a", 0).expect("CONNACK 00").expect("PUBLISH a 'kept' q0 retain");
}

TEST_CASE("v311[MQTT-4.8.0-2] a message that cannot be stored in time ends the connection") {
    broker b;
    b.client_v311("s").connect(kept()).expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01").cut();
    auto& c = b.client_v311("c").connect().expect("CONNACK 00");
    b.hold_commits();
    c.publish("a", "x", 1).expect_nothing();
    b.after(core::limits{}.ack_wait_max_s);
    c.expect_closed(close_cause::not_durable);
    b.release_commits();
}
