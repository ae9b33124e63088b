// PUBLISH and its acknowledgements, both ways and both versions. Method: transcripts, most of them with the connection
// cut at every step.
#include <doctest/doctest.h>

#include "tests/support/packets.hpp"
#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;
using core::close_cause;
using proto::reason_code;
using proto::version;

TEST_CASE("v5[MQTT-3.3.4-1] v311[MQTT-3.3.4-1] v5[MQTT-3.8.4-8] v311[MQTT-3.8.4-6] a message goes out with the lower "
          "of the two QoS") {
    for (const version v : {version::v3_1_1, version::v5}) {
        fail_at_every_step({}, [&](broker& b) {
            auto& s = b.client("s", v);
            auto& p = b.client("p", v);
            s.connect()
                .expect("CONNACK 00")
                .subscribe("a/1", 1)
                .expect("SUBACK #1 01")
                .subscribe("a/0", 0)
                .expect("SUBACK #2 00");
            p.connect().expect("CONNACK 00");
            p.publish("a/1", "zero", 0).publish("a/1", "one", 1).publish("a/1", "two", 2).pubrel(2);
            p.expect("PUBACK #1").expect("PUBREC #2").expect("PUBCOMP #2");
            p.publish("a/0", "none", 2).pubrel(3).expect("PUBREC #3").expect("PUBCOMP #3");
            s.expect("PUBLISH a/1 'zero' q0").expect("PUBLISH a/1 'one' q1 #1").expect("PUBLISH a/1 'two' q1 #2");
            s.expect("PUBLISH a/0 'none' q0").puback(1).puback(2).expect_nothing();
        });
    }
}

TEST_CASE("v5[MQTT-4.3.3-4] v5[MQTT-4.3.3-8] v5[MQTT-4.3.3-11] v311[MQTT-4.3.3-1] v311[MQTT-4.3.3-2] QoS 2 takes four "
          "packets each way") {
    for (const version v : {version::v3_1_1, version::v5}) {
        fail_at_every_step({}, [&](broker& b) {
            auto& s = b.client("s", v);
            auto& p = b.client("p", v);
            s.connect().expect("CONNACK 00").subscribe("a", 2).expect("SUBACK #1 02");
            p.connect().expect("CONNACK 00").publish("a", "x", 2).expect("PUBREC #1").pubrel(1).expect("PUBCOMP #1");
            s.expect("PUBLISH a 'x' q2 #1").pubrec(1).expect("PUBREL #1").pubcomp(1).expect_nothing();
        });
    }
}

TEST_CASE("v5[MQTT-4.3.3-10] v5[MQTT-4.3.3-12] v311[MQTT-4.3.3-2] a QoS 2 PUBLISH that comes again is acknowledged and "
          "not delivered again") {
    fail_at_every_step({}, [](broker& b) {
        auto& s = b.client("s");
        auto& p = b.client("p");
        s.connect().expect("CONNACK 00").subscribe("a", 0).expect("SUBACK #1 00");
        p.resume().expect("CONNACK 00").publish("a", "x", 2).expect("PUBREC #1").cut();
        publish_options again;
        again.dup = true;
        again.id = 1;
        p.resume().expect("CONNACK 00 present").publish("a", "x", 2, again).expect("PUBREC #1");
        s.expect("PUBLISH a 'x' q0").expect_nothing();
        p.pubrel(1).expect("PUBCOMP #1");
        again.dup = false;
        p.publish("a", "y", 2, again).expect("PUBREC #1"); // something new
        s.expect("PUBLISH a 'y' q0");
    });
}

TEST_CASE(
    "v5[MQTT-4.4.0-1] v311[MQTT-4.4.0-1] v5[MQTT-3.3.1-1] v311[MQTT-3.3.1-1] v311[MQTT-2.3.1-3] a resumed session "
    "sends what was in flight "
    "again, with the same ids, in order, as duplicates") {
    for (const version v : {version::v3_1_1, version::v5}) {
        fail_at_every_step({}, [&](broker& b) {
            auto& s = b.client("s", v);
            auto& p = b.client("p");
            s.resume().expect("CONNACK 00").subscribe("#", 2).expect("SUBACK #1 02");
            p.connect().expect("CONNACK 00");
            p.publish("a", "1", 1).publish("b", "2", 2).publish("c", "3", 1).publish("d", "4", 2);
            s.expect("PUBLISH a '1' q1 #1")
                .expect("PUBLISH b '2' q2 #2")
                .expect("PUBLISH c '3' q1 #3")
                .expect("PUBLISH d '4' q2 #4");
            s.pubrec(2).expect("PUBREL #2").puback(1).cut();
            p.publish("e", "5", 1);
            s.resume().expect("CONNACK 00 present");
            s.expect("PUBREL #2")
                .expect("PUBLISH c '3' q1 #3 dup")
                .expect("PUBLISH d '4' q2 #4 dup")
                .expect("PUBLISH e '5' q1 #5");
            s.expect_nothing();
        });
    }
}

TEST_CASE(
    "v5[MQTT-3.3.1-2] v311[MQTT-3.3.1-2] v5[MQTT-3.3.1-3] v311[MQTT-3.3.1-3] the publisher's DUP is not passed on") {
    broker b;
    auto& c = b.client("c");
    publish_options dup;
    dup.dup = true;
    c.connect()
        .expect("CONNACK 00")
        .subscribe("a", 1)
        .expect("SUBACK #1 01")
        .publish("a", "x", 1, dup)
        .expect("PUBLISH a 'x' q1 #1");
}

TEST_CASE("v5[MQTT-3.3.4-9] no more than the client's Receive Maximum is in flight to it") {
    fail_at_every_step({}, [](broker& b) {
        auto& s = b.client("s");
        auto& p = b.client("p");
        connect_options o;
        o.receive_maximum = 2;
        s.connect(o).expect("CONNACK 00").subscribe("a", 2).expect("SUBACK #1 02");
        p.connect().expect("CONNACK 00");
        for (const char* text : {"1", "2", "3", "4"}) p.publish("a", text, 2);
        p.publish("a", "zero");
        s.expect("PUBLISH a '1' q2 #1").expect("PUBLISH a '2' q2 #2").expect("PUBLISH a 'zero' q0").expect_nothing();
        s.pubrec(1).expect("PUBREL #1").expect_nothing().pubcomp(1).expect("PUBLISH a '3' q2 #3").expect_nothing();
        s.pubrec(2, reason_code::unspecified_error).expect("PUBLISH a '4' q2 #4").expect_nothing();
    });
}

TEST_CASE("v5[MQTT-3.3.4-9] a session resumed with a smaller Receive Maximum is sent again only what fits, and nothing "
          "overtakes") {
    fail_at_every_step({}, [](broker& b) {
        auto& s = b.client("s");
        auto& p = b.client("p");
        s.resume().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
        p.connect().expect("CONNACK 00");
        for (const char* text : {"1", "2", "3"}) p.publish("a", text, 1);
        s.expect("PUBLISH a '1' q1 #1").expect("PUBLISH a '2' q1 #2").expect("PUBLISH a '3' q1 #3").cut();
        p.publish("a", "4", 1);
        connect_options o;
        o.clean = false;
        o.expiry_s = 3600;
        o.receive_maximum = 1;
        s.connect(o).expect("CONNACK 00 present").expect("PUBLISH a '1' q1 #1 dup").expect_nothing();
        s.puback(1).expect("PUBLISH a '2' q1 #2 dup").expect_nothing().cut();
        s.connect(o).expect("CONNACK 00 present").expect("PUBLISH a '2' q1 #2 dup").expect_nothing();
        s.puback(2)
            .expect("PUBLISH a '3' q1 #3 dup")
            .puback(3)
            .expect("PUBLISH a '4' q1 #4")
            .puback(4)
            .expect_nothing();
        if (!b.muted()) CHECK(b.store().row_count() == 0);
    });
}

TEST_CASE("v5[MQTT-3.3.4-7] more unacknowledged publications than the gateway's Receive Maximum end "
          "the connection") {
    broker_setup setup;
    setup.limits.receive_maximum = 4;
    broker b(setup);
    auto& c = b.client("c");
    c.resume().expect("CONNACK 00");
    for (int i = 0; i < 4; ++i) c.publish("a", "x", 2);
    for (const char* line : {"PUBREC #1 10", "PUBREC #2 10", "PUBREC #3 10", "PUBREC #4 10"}) c.expect(line);
    publish_options again;
    again.id = 4;
    c.publish("a", "x", 2, again).expect("PUBREC #4"); // the same one again takes no further place
    c.publish("a", "x", 1).expect("DISCONNECT 93").expect_closed(close_cause::protocol_violation);
    // The next connection begins with a fresh allowance (v5 4.9).
    c.resume().expect("CONNACK 00 present");
    publish_options id;
    for (id.id = 11; id.id <= 14; ++id.id)
        c.publish("a", "x", 2, id).expect("PUBREC #" + std::to_string(id.id) + " 10");
    c.publish("a", "x", 2, id).expect("DISCONNECT 93");
}

TEST_CASE("QoS 2 publications that wait for their commit take one place of the Receive Maximum each") {
    broker_setup setup;
    setup.limits.receive_maximum = 4;
    broker b(setup);
    auto& c = b.client("c");
    c.resume().expect("CONNACK 00");
    b.hold_commits();
    for (int i = 0; i < 4; ++i) c.publish("a", "x", 2);
    c.expect_nothing();
    b.release_commits();
    c.expect("PUBREC #1 10").expect("PUBREC #2 10").expect("PUBREC #3 10").expect("PUBREC #4 10").expect_nothing();
}

TEST_CASE("v5[MQTT-2.2.1-4] v5[MQTT-4.3.2-1] v311[MQTT-2.3.1-4] v311[MQTT-4.3.2-1] packet ids go round and pass over "
          "those still in use") {
    broker b;
    auto& s = b.client("s");
    auto& p = b.client("p");
    s.connect().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
    p.connect().expect("CONNACK 00").publish("a", "first", 1).expect("PUBACK #1");
    s.expect("PUBLISH a 'first' q1 #1");
    for (int i = 2; i <= 65535; ++i) {
        p.publish("a", "x", 1).take();
        s.take_bytes();
        s.puback(static_cast<proto::packet_id>(i));
    }
    p.publish("a", "round", 1);
    s.expect("PUBLISH a 'round' q1 #2"); // 1 was never acknowledged
}

TEST_CASE("acknowledgements of what is not in flight change nothing; PUBREC and PUBREL are answered") {
    broker b;
    auto& c = b.client("c");
    c.connect().expect("CONNACK 00").puback(7).pubcomp(7).expect_nothing();
    c.pubrec(7).expect("PUBREL #7 92").pubrel(7).expect("PUBCOMP #7 92");
    c.subscribe("a", 1).expect("SUBACK #1 01").publish("a", "x", 1).expect("PUBLISH a 'x' q1 #1").expect("PUBACK #2");
    c.pubcomp(1).pubrec(1).expect("PUBREL #1 92"); // QoS 1 is not ended by QoS 2's packets
    c.puback(1).expect_nothing();
}

TEST_CASE("v5[MQTT-3.1.2-24] v5[MQTT-3.1.2-25] a message above the client's Maximum Packet Size is left out, the next "
          "one comes") {
    fail_at_every_step({}, [](broker& b) {
        auto& s = b.client("s");
        connect_options o;
        o.packet_bytes_max = 100;
        o.receive_maximum = 1;
        o.clean = false;
        o.expiry_s = 600;
        s.connect(o).expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
        auto& p = b.client("p").connect().expect("CONNACK 00");
        const std::string large(100, 'x');
        p.publish("a", large)
            .publish("a", large, 1)
            .publish("a", "small", 1)
            .publish("a", large, 1)
            .publish("a", "zero");
        s.expect("PUBLISH a 'small' q1 #1").expect("PUBLISH a 'zero' q0").puback(1).expect_nothing();
        p.publish("a", "next", 1);
        s.expect("PUBLISH a 'next' q1 #2").puback(2);
        if (!b.muted()) {
            CHECK(b.total(&core::counters::dropped_too_large) == 3);
            CHECK(b.store().row_count() == 0);
        }
    });
}

TEST_CASE("v5[MQTT-3.1.2-25] what was in flight and no longer fits is given up when the session is resumed") {
    broker b;
    auto& s = b.client("s");
    s.resume().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    p.publish("a", std::string(200, 'x'), 1).publish("a", "small", 1);
    s.cut();
    connect_options o;
    o.clean = false;
    o.expiry_s = 600;
    o.packet_bytes_max = 100;
    o.receive_maximum = 1;
    s.connect(o).expect("CONNACK 00 present").expect("PUBLISH a 'small' q1 #2 dup").puback(2).expect_nothing();
    CHECK(b.store().row_count() == 0);
}

TEST_CASE(
    "v5[MQTT-3.2.2-15] a packet above the gateway's Maximum Packet Size ends the connection by its announced length") {
    broker_setup setup;
    setup.limits.packet_bytes_max = 1000;
    broker b(setup);
    b.client("c")
        .connect()
        .expect("CONNACK 00")
        .send_bytes("\x30\xff\x7f")
        .expect("DISCONNECT 95")
        .expect_closed(close_cause::protocol_violation);
}

TEST_CASE("v5[MQTT-3.3.2-7] v5[MQTT-3.3.2-12] a topic alias stands for its topic on its own connection only") {
    broker b;
    auto& s = b.client("s").connect().expect("CONNACK 00").subscribe("#", 0).expect("SUBACK #1 00");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    publish_options alias;
    alias.alias = 3;
    p.publish("a", "1", 0, alias).publish("", "2", 0, alias).publish("b", "3", 0, alias).publish("", "4", 0, alias);
    s.expect("PUBLISH a '1' q0").expect("PUBLISH a '2' q0").expect("PUBLISH b '3' q0").expect("PUBLISH b '4' q0");
    p.cut();
    p.connect()
        .expect("CONNACK 00")
        .publish("", "5", 0, alias)
        .expect("DISCONNECT 82")
        .expect_closed(close_cause::protocol_violation);
    s.expect_nothing();
}

TEST_CASE("v5[MQTT-3.3.2-9] an alias above the maximum ends the connection") {
    broker b;
    publish_options alias;
    alias.alias = static_cast<std::uint16_t>(core::limits{}.topic_alias_in_max + 1);
    b.client("c").connect().expect("CONNACK 00").publish("a", "x", 0, alias).expect("DISCONNECT 94");
}

TEST_CASE("an alias is authorised as its topic") {
    broker b;
    publish_options alias;
    alias.alias = 1;
    auto& c = b.client("dev1").device("dev1").connect().expect("CONNACK 00");
    c.publish("device/dev2/status", "x", 1, alias)
        .expect("PUBACK #1 87")
        .publish("", "x", 1, alias)
        .expect("PUBACK #2 87");
}

TEST_CASE("v5[MQTT-3.1.2-26] v5[MQTT-3.1.2-27] v5[MQTT-3.3.2-11] aliases towards a client stay within what it allows") {
    fail_at_every_step({}, [](broker& b) {
        connect_options o;
        o.alias_maximum = 1;
        auto& s = b.client("s").connect(o).expect("CONNACK 00").subscribe("#", 1).expect("SUBACK #1 01");
        auto& none = b.client("none").connect().expect("CONNACK 00").subscribe("b", 0).expect("SUBACK #1 00");
        auto& p = b.client("p").connect().expect("CONNACK 00");
        p.publish("a", "1").publish("a", "2").publish("b", "3").publish("a", "4", 1);
        none.expect("PUBLISH b '3' q0");
        s.expect("PUBLISH a '1' q0 alias=1").expect("PUBLISH  '2' q0 alias=1").expect("PUBLISH b '3' q0");
        s.expect("PUBLISH  '4' q1 #1 alias=1");
    });
}

TEST_CASE("v5[MQTT-3.1.2-24] an alias is left out where only the message without it fits") {
    broker b;
    connect_options o;
    o.alias_maximum = 5;
    o.packet_bytes_max = 20; // of 20 bytes: fixed header 2, topic 3, id 2, properties 1, payload 12
    auto& s = b.client("s").connect(o).expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    p.publish("a", "123456789012", 1);
    s.expect("PUBLISH a '123456789012' q1 #1").puback(1);
    p.publish("a", "x", 1);
    s.expect("PUBLISH a 'x' q1 #2 alias=1");
}

TEST_CASE(
    "v5[MQTT-3.3.2-5] v5[MQTT-3.3.2-6] a message that waited is sent with what is left of its expiry, or not at all") {
    fail_at_every_step({}, [](broker& b) {
        auto& s = b.client("s").resume().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01").cut();
        auto& p = b.client("p").connect().expect("CONNACK 00");
        publish_options expiry;
        expiry.expiry_s = 10;
        p.publish("a", "short", 1, expiry);
        expiry.expiry_s = 100;
        p.publish("a", "long", 1, expiry);
        b.after(30);
        s.resume().expect("CONNACK 00 present").expect("PUBLISH a 'long' q1 #1 expiry=70").expect_nothing();
        if (!b.muted()) CHECK(b.total(&core::counters::dropped_expired) == 1);
    });
}

TEST_CASE("v5[MQTT-4.3.3-7] a message once sent is sent again although it expired") {
    broker b;
    auto& s = b.client("s").resume().expect("CONNACK 00").subscribe("a", 2).expect("SUBACK #1 02");
    publish_options expiry;
    expiry.expiry_s = 10;
    b.client("p").connect().expect("CONNACK 00").publish("a", "x", 2, expiry);
    s.expect("PUBLISH a 'x' q2 #1 expiry=10").cut();
    b.after(30);
    s.resume().expect("CONNACK 00 present").expect("PUBLISH a 'x' q2 #1 dup expiry=1").pubrec(1).expect("PUBREL #1");
}

TEST_CASE("the largest expiry does not overflow") {
    broker b;
    publish_options expiry;
    expiry.expiry_s = 0xFFFF'FFFF;
    auto& c = b.client("c").connect().expect("CONNACK 00").subscribe("a", 0).expect("SUBACK #1 00");
    c.publish("a", "x", 0, expiry).expect("PUBLISH a 'x' q0 expiry=4294967295");
}

TEST_CASE("v5[MQTT-3.3.2-4] v5[MQTT-3.3.2-15] v5[MQTT-3.3.2-16] v5[MQTT-3.3.2-17] v5[MQTT-3.3.2-18] v5[MQTT-3.3.2-20] "
          "properties are passed on unaltered") {
    broker b;
    auto& c = b.client("c").connect().expect("CONNACK 00").subscribe("a", 0).expect("SUBACK #1 00");
    proto::publish p;
    p.topic = "a";
    p.properties.payload_format = std::uint8_t{1};
    p.properties.response_topic = "answer";
    p.properties.correlation_data = std::string_view("\0x", 2);
    p.properties.content_type = "text/plain";
    p.properties.user.add("k", "2");
    p.properties.user.add("k", "1");
    std::string keep;
    const auto got = c.send(p).take_as<proto::publish>(keep).properties;
    CHECK(got.payload_format == 1);
    CHECK(got.response_topic == "answer");
    CHECK(got.correlation_data == std::string_view("\0x", 2));
    CHECK(got.content_type == "text/plain");
    CHECK(got.user.to_vector() == p.properties.user.to_vector());
}

TEST_CASE("v311[MQTT-3.3.5-2] what the ACL refuses is told in MQTT 5, and acknowledged and dropped in 3.1.1") {
    broker b;
    auto& s = b.client("s").connect().expect("CONNACK 00").subscribe("#", 0).expect("SUBACK #1 00");
    auto& five = b.client("dev1").device("dev1").connect().expect("CONNACK 00");
    five.publish("x", "1")
        .expect_nothing()
        .publish("x", "1", 1)
        .expect("PUBACK #1 87")
        .publish("x", "1", 2)
        .expect("PUBREC #2 87");
    auto& three = b.client_v311("dev2").device("dev2").connect().expect("CONNACK 00");
    three.publish("x", "1", 1)
        .expect("PUBACK #1")
        .publish("x", "1", 2)
        .expect("PUBREC #2")
        .pubrel(2)
        .expect("PUBCOMP #2");
    s.expect_nothing();
    CHECK(b.refusals.size() == 5);
    CHECK(b.total(&core::counters::publishes_refused) == 5);
    five.publish("device/dev1/status", "on", 1).expect("PUBACK #3");
    s.expect("PUBLISH device/dev1/status 'on' q0");
}

TEST_CASE("topics that are too long or too deep, $SYS and floods of user properties are refused") {
    broker_setup setup;
    setup.limits.topic_bytes_max = 20;
    setup.limits.topic_levels_max = 3;
    setup.limits.user_properties_max = 1;
    broker b(setup);
    auto& c = b.client("c").connect().expect("CONNACK 00");
    c.publish("123456789012345678901", "x", 1).expect("PUBACK #1 90").publish("a/b/c/d", "x", 1).expect("PUBACK #2 90");
    c.publish("$SYS/x", "x", 1).expect("PUBACK #3 87");
    proto::publish p;
    p.topic = "a";
    p.quality = proto::qos::at_least_once;
    p.id = 4;
    p.properties.user = {{"a", "1"}, {"b", "2"}};
    c.send(p).expect("PUBACK #4 97");
}

TEST_CASE("v5[MQTT-3.1.2-29] reason strings are left out for clients that do not ask for them") {
    broker b;
    connect_options o;
    std::string keep;
    auto& c = b.client("dev1").device("dev1").connect(o).expect("CONNACK 00");
    CHECK(c.publish("x", "1", 1).take_as<proto::puback>(keep).properties.reason_string.has_value());
    c.cut();
    o.problem_information = false;
    c.connect(o).expect("CONNACK 00");
    CHECK_FALSE(c.publish("x", "1", 1).take_as<proto::puback>(keep).properties.reason_string.has_value());
}

TEST_CASE("acknowledgements leave in the order "
          "the packets came") {
    fail_at_every_step({}, [](broker& b) {
        auto& s = b.client("s").resume().expect("CONNACK 00").subscribe("keep", 1).expect("SUBACK #1 01").cut();
        auto& p = b.client("p").connect().expect("CONNACK 00");
        b.hold_commits();
        p.publish("keep", "1", 1).publish("other", "2", 1).publish("other", "3", 2).subscribe("x").expect_nothing();
        b.release_commits();
        p.expect("PUBACK #1").expect("PUBACK #2 10").expect("PUBREC #3 10").expect("SUBACK #4 02").expect_nothing();
        s.resume().expect("CONNACK 00 present").expect("PUBLISH keep '1' q1 #1");
    });
}

TEST_CASE("a malformed packet after CONNECT is answered with its reason") {
    broker b;
    b.client("c")
        .connect()
        .expect("CONNACK 00")
        .send_bytes(packet_bytes(0x30, render("<a/#> []")))
        .expect("DISCONNECT 81")
        .expect_closed(close_cause::protocol_violation);
    b.client_v311("d")
        .connect()
        .expect("CONNACK 00")
        .send_bytes(packet_bytes(0x36, render("<a> 0001")))
        .expect_closed(close_cause::protocol_violation);
}
