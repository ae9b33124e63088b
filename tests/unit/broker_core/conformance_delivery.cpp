// Statements about publications, acknowledgements and subscriptions that the tests of behaviour beside this file do not
// show by themselves. Method: transcripts, in both versions where both demand it.
#include <doctest/doctest.h>

#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;
using core::close_cause;
using proto::reason_code;
using proto::version;

namespace {

publish_options with_id(proto::packet_id id, bool dup = false) {
    publish_options o;
    o.id = id;
    o.dup = dup;
    return o;
}

connect_options window(std::uint16_t receive_maximum) {
    connect_options o;
    o.clean = false;
    o.expiry_s = 3600;
    o.receive_maximum = receive_maximum;
    return o;
}

client& subscribed(broker& b, const std::string& id, version v, std::string_view filter, int qos) {
    auto& c = b.client(id, v).resume().expect("CONNACK 00").subscribe(filter, qos);
    return c.expect("SUBACK #1 0" + std::to_string(qos));
}

} // namespace

TEST_CASE("v5[MQTT-2.2.1-5] v311[MQTT-2.3.1-6] acknowledgements carry the identifier of their PUBLISH") {
    for (const version v : both) {
        broker b;
        subscribed(b, "s", v, "a", 2);
        auto& c = b.client("c", v).connect().expect("CONNACK 00");
        c.publish("a", "x", 1, with_id(300)).expect("PUBACK #300");
        c.publish("a", "y", 2, with_id(65535)).expect("PUBREC #65535").pubrel(65535).expect("PUBCOMP #65535");
    }
}

TEST_CASE(
    "v5[MQTT-2.2.1-6] v5[MQTT-3.2.2-10] v311[MQTT-2.3.1-7] any QoS may be asked for, and SUBACK and UNSUBACK carry "
    "the identifier of their request") {
    for (const version v : both) {
        broker b;
        auto& c = b.client("c", v).connect().expect("CONNACK 00");
        proto::subscribe s;
        s.id = 500;
        for (const auto q : {proto::qos::at_most_once, proto::qos::at_least_once, proto::qos::exactly_once})
            s.requests.push_back({"a", {.maximum_qos = q}});
        c.send(s).expect("SUBACK #500 00 01 02");
        proto::unsubscribe u;
        u.id = 501;
        u.filters = {"a"};
        c.send(u).expect(v == version::v5 ? "UNSUBACK #501 00" : "UNSUBACK #501");
    }
}

TEST_CASE("v5[MQTT-3.3.2-3] v5[MQTT-4.7.3-4] v311[MQTT-3.3.2-3] v311[MQTT-4.7.3-4] a subscriber gets what its filter "
          "matches character by character, and nothing else") {
    for (const version v : both) {
        broker b;
        auto& s = subscribed(b, "s", v, "a/\xc3\xa9", 0); // e with an acute accent, in one character
        auto& p = b.client("p", v).connect().expect("CONNACK 00");
        for (const char* other :
             {"a/e\xcc\x81", "A/\xc3\xa9", "a/\xc3\x89", "a//\xc3\xa9", "a/\xc3\xa9/", "/a/\xc3\xa9", "a"})
            p.publish(other, "no");
        p.publish("a/\xc3\xa9", "yes");
        s.expect("PUBLISH a/\xc3\xa9 'yes' q0").expect_nothing();
    }
}

TEST_CASE(
    "v5[MQTT-3.3.4-10] v5[MQTT-4.9.0-1] v5[MQTT-4.9.0-2] v5[MQTT-4.9.0-3] a client that owes acknowledgements gets "
    "no more QoS 1 and 2, but everything else") {
    broker b;
    auto& c = b.client("c").connect(window(2)).expect("CONNACK 00").subscribe("a", 2).expect("SUBACK #1 02");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    p.publish("a", "1", 1).publish("a", "2", 2).publish("a", "3", 1);
    c.expect("PUBLISH a '1' q1 #1").expect("PUBLISH a '2' q2 #2").expect_nothing();
    c.ping().expect("PINGRESP").subscribe("b", 0).expect("SUBACK #2 00").unsubscribe({"b"}).expect("UNSUBACK #3 00");
    c.publish("x", "y", 1).expect("PUBACK #4 10").pubrec(2).expect("PUBREL #2").expect_nothing();
    c.puback(1).expect("PUBLISH a '3' q1 #3").expect_nothing();
}

TEST_CASE("v5[MQTT-3.8.4-4] replacing a subscription loses no message that waits") {
    broker b;
    auto& c = b.client("c").connect(window(1)).expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    publish_options retain;
    retain.retain = true;
    p.publish("a", "1", 1, retain).publish("a", "2", 1);
    c.expect("PUBLISH a '1' q1 #1").subscribe("a", 0).expect("PUBLISH a '1' q0 retain").expect("SUBACK #2 00");
    c.expect_nothing().puback(1).expect("PUBLISH a '2' q1 #2").expect_nothing();
}

TEST_CASE("v5[MQTT-3.3.1-1] v5[MQTT-3.3.1-2] v5[MQTT-3.3.1-3] v311[MQTT-3.3.1-1] v311[MQTT-3.3.1-2] v311[MQTT-3.3.1-3] "
          "v5[MQTT-4.3.1-1] v5[MQTT-4.3.2-2] v5[MQTT-4.3.3-2] v311[MQTT-4.3.1-1] v311[MQTT-4.3.2-1] v311[MQTT-4.3.3-1] "
          "what is new goes out without DUP, with its QoS and identifier, whatever its publisher sent") {
    for (const version v : both) {
        broker b;
        auto& zero = subscribed(b, "zero", v, "a", 0);
        auto& two = subscribed(b, "two", v, "a", 2);
        auto& p = b.client("p", v).connect().expect("CONNACK 00");
        p.publish("a", "1", 1, with_id(9, true)).publish("a", "2", 2, with_id(10, true));
        zero.expect("PUBLISH a '1' q0").expect("PUBLISH a '2' q0").expect_nothing();
        two.expect("PUBLISH a '1' q1 #1").expect("PUBLISH a '2' q2 #2").expect_nothing();
    }
}

TEST_CASE("v5[MQTT-4.3.3-1] v311[MQTT-4.3.3-1] QoS 2 messages in flight have different identifiers") {
    for (const version v : both) {
        broker b;
        auto& s = subscribed(b, "s", v, "a", 2);
        auto& p = b.client("p", v).connect().expect("CONNACK 00");
        p.publish("a", "1", 2).publish("a", "2", 2);
        s.expect("PUBLISH a '1' q2 #1").expect("PUBLISH a '2' q2 #2").pubrec(1).expect("PUBREL #1").pubcomp(1);
        p.publish("a", "3", 2);
        s.expect("PUBLISH a '3' q2 #3");
    }
}

TEST_CASE("v5[MQTT-4.3.2-3] v311[MQTT-4.3.2-1] a QoS 1 message is unacknowledged until its own PUBACK") {
    for (const version v : both) {
        broker b;
        auto& s = subscribed(b, "s", v, "a", 1);
        b.client("p", v).connect().expect("CONNACK 00").publish("a", "1", 1).publish("a", "2", 1);
        s.expect("PUBLISH a '1' q1 #1").expect("PUBLISH a '2' q1 #2").puback(2).cut();
        s.resume().expect("CONNACK 00 present").expect("PUBLISH a '1' q1 #1 dup").expect_nothing().puback(1).cut();
        s.resume().expect("CONNACK 00 present").expect_nothing();
    }
}

TEST_CASE("v5[MQTT-4.3.2-4] v5[MQTT-4.3.2-5] v311[MQTT-4.3.2-2] after PUBACK the same identifier means a new message, "
          "DUP or not") {
    for (const version v : both) {
        broker b;
        auto& s = subscribed(b, "s", v, "a", 0);
        auto& p = b.client("p", v).connect().expect("CONNACK 00");
        // A QoS 2 message with the same identifier is under way.
        p.publish("a", "0", 2, with_id(5)).expect("PUBREC #5");
        p.publish("a", "1", 1, with_id(5))
            .expect("PUBACK #5")
            .publish("a", "2", 1, with_id(5, true))
            .expect("PUBACK #5");
        s.expect("PUBLISH a '0' q0").expect("PUBLISH a '1' q0").expect("PUBLISH a '2' q0").expect_nothing();
    }
}

TEST_CASE("v5[MQTT-3.3.4-9] v5[MQTT-4.3.3-3] v5[MQTT-4.3.3-5] v5[MQTT-4.3.3-6] v311[MQTT-4.3.3-1] QoS 2 is sent again "
          "as PUBLISH until "
          "PUBREC, as PUBREL until PUBCOMP, then never") {
    for (const version v : both) {
        broker b;
        auto& s = subscribed(b, "s", v, "a", 2);
        b.client("p", v).connect().expect("CONNACK 00").publish("a", "x", 2);
        s.expect("PUBLISH a 'x' q2 #1").cut();
        s.resume().expect("CONNACK 00 present").expect("PUBLISH a 'x' q2 #1 dup").pubrec(1).expect("PUBREL #1").cut();
        s.resume().expect("CONNACK 00 present").expect("PUBREL #1").expect_nothing();
        b.hold_commits();
        s.pubrec(1).expect("PUBREL #1"); // nothing new to keep
        b.release_commits();
        s.pubcomp(1).cut();
        s.resume().expect("CONNACK 00 present").expect_nothing();
    }
}

TEST_CASE("v5[MQTT-4.3.3-9] after a refusing PUBREC the identifier means a new message") {
    broker b;
    auto& s = subscribed(b, "s", version::v5, "device/#", 0);
    auto& d = b.client("dev1").device("dev1").connect().expect("CONNACK 00");
    d.publish("other", "no", 2, with_id(7)).expect("PUBREC #7 87");
    d.publish("device/dev1/status", "yes", 2, with_id(7)).expect("PUBREC #7").pubrel(7).expect("PUBCOMP #7");
    s.expect("PUBLISH device/dev1/status 'yes' q0").expect_nothing();
}

TEST_CASE("v5[MQTT-4.3.3-9] the in-process client's refusal frees the identifier, too") {
    broker b;
    b.subscribe_local("a");
    auto& c = b.client("c").resume().expect("CONNACK 00");
    for (int i = 0; i < 2; ++i) { // not taken for the same message again
        c.publish("a", "x", 2, with_id(3)).expect_nothing();
        REQUIRE(b.locals.size() == static_cast<std::size_t>(i) + 1);
        b.verdict(b.locals.back().token, reason_code::payload_format_invalid);
        c.expect("PUBREC #3 99");
    }
    c.publish("a", "y", 2, with_id(3));
    b.verdict(b.locals.back().token);
    c.expect("PUBREC #3").pubrel(3).expect("PUBCOMP #3");
}

TEST_CASE("v5[MQTT-4.3.3-13] the exchange of a QoS 2 message goes on although it expired") {
    broker b;
    auto& c = b.client("c").connect().expect("CONNACK 00");
    publish_options o = with_id(4);
    o.expiry_s = 1;
    c.publish("a", "x", 2, o).expect("PUBREC #4 10");
    b.after(60);
    c.publish("a", "x", 2, o).expect("PUBREC #4").pubrel(4).expect("PUBCOMP #4").pubrel(4).expect("PUBCOMP #4 92");
}

TEST_CASE("v5[MQTT-4.4.0-2] what a client refused is not sent again") {
    broker b;
    auto& s = subscribed(b, "s", version::v5, "a", 2);
    b.client("p").connect().expect("CONNACK 00").publish("a", "1", 1).publish("a", "2", 2).publish("a", "3", 2);
    s.expect("PUBLISH a '1' q1 #1").expect("PUBLISH a '2' q2 #2").expect("PUBLISH a '3' q2 #3");
    s.puback(1, reason_code::unspecified_error).pubrec(2, reason_code::quota_exceeded).expect_nothing().cut();
    s.resume().expect("CONNACK 00 present").expect("PUBLISH a '3' q2 #3 dup").expect_nothing();
}

TEST_CASE("v311[MQTT-3.10.4-6] v5[MQTT-3.10.4-6] several filters of one UNSUBSCRIBE end several subscriptions") {
    for (const version v : both) {
        broker b;
        auto& c = b.client("c", v).connect().expect("CONNACK 00");
        c.subscribe_all({{"a", {}}, {"b", {}}, {"c", {}}}).expect("SUBACK #1 00 00 00");
        c.unsubscribe({"a", "c"}).expect(v == version::v5 ? "UNSUBACK #2 00 00" : "UNSUBACK #2").expect_nothing();
        c.publish("a", "x").publish("b", "x").publish("c", "x").expect("PUBLISH b 'x' q0").expect_nothing();
    }
}

TEST_CASE("v5[MQTT-3.3.4-2] v311[MQTT-3.3.5-1] of two subscriptions that match the higher QoS counts") {
    for (const version v : both) {
        for (const int first : {0, 1}) {
            broker b;
            auto& c = b.client("c", v).connect().expect("CONNACK 00");
            c.subscribe("a/+", first).subscribe("a/b", 1 - first).take();
            b.client("p", v).connect().expect("CONNACK 00").publish("a/b", "x", 2);
            c.expect("PUBLISH a/b 'x' q1 #1").expect_nothing();
        }
    }
}
