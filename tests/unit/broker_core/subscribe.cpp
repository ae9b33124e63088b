// Subscriptions and retained messages. Method: transcripts.
#include <doctest/doctest.h>

#include "tests/support/packets.hpp"
#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;
using core::close_cause;
using proto::reason_code;
using proto::retain_handling;

namespace {

proto::subscription_options no_local() {
    proto::subscription_options o;
    o.no_local = true;
    return o;
}
proto::subscription_options retained_when(retain_handling how) {
    proto::subscription_options o;
    o.retained = how;
    return o;
}
} // namespace

TEST_CASE(
    "v5[MQTT-3.8.4-1] v5[MQTT-3.8.4-2] v5[MQTT-3.8.4-5] v5[MQTT-3.8.4-6] v5[MQTT-3.8.4-7] v5[MQTT-3.9.3-1] "
    "v5[MQTT-3.9.3-2] "
    "v311[MQTT-3.8.4-1] "
    "v311[MQTT-3.8.4-2] v311[MQTT-3.8.4-4] v311[MQTT-3.8.4-5] v311[MQTT-3.9.3-1] SUBACK answers each filter in order") {
    broker_setup setup;
    setup.limits.subscriptions_max = 3;
    setup.limits.topic_levels_max = 3;
    broker b(setup);
    proto::subscription_options q1;
    q1.maximum_qos = proto::qos::at_least_once;
    auto& c = b.client("c").connect().expect("CONNACK 00");
    c.subscribe_all({{"a", {}}, {"b", q1}, {"a/b/c/d", {}}, {"$share/g/a", {}}, {"c", {}}, {"d", {}}, {"a", q1}});
    c.expect("SUBACK #1 00 01 8f 00 97 97 01");
    auto& d = b.client_v311("dev1").device("dev1").connect().expect("CONNACK 00");
    d.subscribe_all({{"device/dev1/#", q1}, {"device/#", q1}}).expect("SUBACK #1 01 80");
}

TEST_CASE("v5[MQTT-3.3.4-2] v5[MQTT-3.3.4-3] v5[MQTT-3.3.4-4] v311[MQTT-3.3.5-1] overlapping subscriptions give one "
          "message with the "
          "highest QoS and all identifiers") {
    fail_at_every_step({}, [](broker& b) {
        auto& c = b.client("c").connect().expect("CONNACK 00");
        c.subscribe("a/+", 0, {}, 7).expect("SUBACK #1 00").subscribe("a/b", 1, {}, 5).expect("SUBACK #2 01");
        c.subscribe("#", 0).expect("SUBACK #3 00");
        b.client("p").connect().expect("CONNACK 00").publish("a/b", "x", 2).pubrel(1);
        std::string keep;
        const auto p = c.take_as<proto::publish>(keep);
        if (b.muted()) return;
        CHECK(p.quality == proto::qos::at_least_once);
        auto ids = p.properties.subscription_ids;
        std::sort(ids.begin(), ids.end());
        CHECK(ids == std::vector<std::uint32_t>{5, 7});
        c.expect_nothing();
    });
}

TEST_CASE(
    "v5[MQTT-4.7.2-1] v311[MQTT-4.7.2-1] filters that begin with a wildcard do not match topics that begin with $") {
    broker b;
    auto& c = b.client("c").connect().expect("CONNACK 00");
    c.subscribe("#")
        .expect("SUBACK #1 02")
        .subscribe("+/x")
        .expect("SUBACK #2 02")
        .publish("$own/x", "1")
        .expect_nothing();
    c.subscribe("$own/#").expect("SUBACK #3 02").publish("$own/x", "2").expect("PUBLISH $own/x '2' q0");
}

TEST_CASE("v5[MQTT-3.8.3-3] a no-local subscription does not bring back the client's own messages") {
    broker b;
    auto& c = b.client("c").connect().expect("CONNACK 00").subscribe("a", 1, no_local()).expect("SUBACK #1 01");
    c.publish("a", "own").expect_nothing();
    b.client("p").connect().expect("CONNACK 00").publish("a", "other");
    c.expect("PUBLISH a 'other' q0");
}

TEST_CASE("v5[MQTT-3.8.3-3] of overlapping subscriptions only those without no-local bring own messages back") {
    broker b;
    auto& c = b.client("c").connect().expect("CONNACK 00");
    c.subscribe("a/#", 2, no_local(), 1).expect("SUBACK #1 02").subscribe("a/b", 0, {}, 2).expect("SUBACK #2 00");
    c.publish("a/b", "own", 1).expect("PUBLISH a/b 'own' q0 subs=2").expect("PUBACK #3").expect_nothing();
}

TEST_CASE("v5[MQTT-3.8.4-4] replacing a subscription by one with no-local loses nothing the client published before") {
    broker_setup four;
    four.shards = 4;
    broker b(four);
    auto& c = b.client("c").connect().expect("CONNACK 00");
    c.subscribe("+", 2, no_local(), 1).expect("SUBACK #1 02").subscribe("a", 1, {}, 2).expect("SUBACK #2 01");
    b.hold_crossings();
    c.publish("a", "own", 2, retain).subscribe("a", 1, no_local(), 2);
    b.release_crossings();
    c.expect("PUBREC #3").expect("SUBACK #4 01").expect("PUBLISH a 'own' q1 #1 subs=2");
}

TEST_CASE("v5[MQTT-3.10.4-1] v5[MQTT-3.10.4-2] v5[MQTT-3.10.4-4] v5[MQTT-3.10.4-5] v5[MQTT-3.10.4-6] v5[MQTT-3.11.3-1] "
          "v5[MQTT-3.11.3-2] "
          "v311[MQTT-3.10.4-1] "
          "v311[MQTT-3.10.4-2] v311[MQTT-3.10.4-4] v311[MQTT-3.10.4-5] UNSUBSCRIBE ends what is spelled alike") {
    fail_at_every_step({}, [](broker& b) {
        auto& c = b.client("c")
                      .connect()
                      .expect("CONNACK 00")
                      .subscribe("a", 1)
                      .expect("SUBACK #1 01")
                      .subscribe("A", 0)
                      .expect("SUBACK #2 00");
        c.unsubscribe({"b", "a", "+"}).expect("UNSUBACK #3 11 00 11").publish("a", "x").expect_nothing();
        c.publish("A", "x").expect("PUBLISH A 'x' q0");
    });
    broker b;
    b.client_v311("c").connect().expect("CONNACK 00").unsubscribe({"b"}).expect("UNSUBACK #1");
}

TEST_CASE("v5[MQTT-3.10.4-3] v311[MQTT-3.10.4-3] a delivery begun before UNSUBSCRIBE is completed") {
    broker b;
    auto& c = b.client("c").connect().expect("CONNACK 00").subscribe("a", 2).expect("SUBACK #1 02");
    b.client("p").connect().expect("CONNACK 00").publish("a", "x", 2).expect("PUBREC #1");
    c.unsubscribe({"a"})
        .expect("PUBLISH a 'x' q2 #1")
        .expect("UNSUBACK #2 00")
        .pubrec(1)
        .expect("PUBREL #1")
        .pubcomp(1);
}

TEST_CASE("v5[MQTT-3.8.4-3] v311[MQTT-3.8.4-3] subscribing again replaces the options and sends the retained messages "
          "again") {
    broker b;
    auto& c = b.client("c").connect().expect("CONNACK 00").publish("a", "kept", 1, retain).expect("PUBACK #1 10");
    c.subscribe("a", 2).expect("PUBLISH a 'kept' q1 #1 retain").expect("SUBACK #2 02").puback(1);
    c.subscribe("a", 0).expect("PUBLISH a 'kept' q0 retain").expect("SUBACK #3 00").publish("a", "x", 1);
    c.expect("PUBLISH a 'x' q0").expect("PUBACK #4").expect_nothing();
    c.unsubscribe({"a"}).expect("UNSUBACK #5 00").unsubscribe({"a"}).expect("UNSUBACK #6 11"); // there was one
}

TEST_CASE(
    "v5[MQTT-3.3.1-5] v5[MQTT-3.3.1-6] v5[MQTT-3.3.1-7] v5[MQTT-3.3.1-8] v311[MQTT-3.3.1-5] v311[MQTT-3.3.1-6] "
    "v311[MQTT-3.3.1-7] v311[MQTT-3.3.1-8] "
    "v311[MQTT-3.3.1-10] v311[MQTT-3.3.1-11] v311[MQTT-3.3.1-12] a retained message is kept, replaced and cleared") {
    fail_at_every_step({}, [](broker& b) {
        auto& p = b.client("p").connect().expect("CONNACK 00");
        p.publish("a", "1", 0, retain)
            .publish("a", "2", 0, retain)
            .publish("a", "3")
            .publish("b", "4", 0, retain)
            .publish("b", "", 0, retain);
        auto& c = b.client("c").connect().expect("CONNACK 00");
        c.subscribe("#", 0).expect("PUBLISH a '2' q0 retain").expect("SUBACK #1 00").expect_nothing();
        p.publish("a", "", 0, retain);
        c.expect("PUBLISH a '' q0").expect_nothing();
        c.subscribe("a", 0).expect("SUBACK #2 00").expect_nothing();
        if (!b.muted()) CHECK(b.retained->message_count() == 0);
    });
}

TEST_CASE("v5[MQTT-3.3.1-9] v5[MQTT-3.3.1-10] v5[MQTT-3.3.1-11] retain handling says when retained messages are sent") {
    broker b;
    auto& c = b.client("c").connect().expect("CONNACK 00").publish("a", "x", 0, retain);
    c.subscribe("a", 0, retained_when(retain_handling::never)).expect("SUBACK #1 00");
    c.subscribe("a", 0, retained_when(retain_handling::send_if_new))
        .expect("SUBACK #2 00")
        .unsubscribe({"a"})
        .expect("UNSUBACK #3 00");
    c.subscribe("a", 0, retained_when(retain_handling::send_if_new))
        .expect("PUBLISH a 'x' q0 retain")
        .expect("SUBACK #4 00");
}

TEST_CASE("v5[MQTT-3.3.1-12] v5[MQTT-3.3.1-13] v311[MQTT-3.3.1-9] RETAIN is passed on only where retain-as-published "
          "asks for it") {
    broker b;
    proto::subscription_options as_published;
    as_published.retain_as_published = true;
    auto& with = b.client("with").connect().expect("CONNACK 00").subscribe("a", 0, as_published).expect("SUBACK #1 00");
    auto& without = b.client("without").connect().expect("CONNACK 00").subscribe("a", 0).expect("SUBACK #1 00");
    auto& old = b.client_v311("old").connect().expect("CONNACK 00").subscribe("a", 0).expect("SUBACK #1 00");
    b.client("p").connect().expect("CONNACK 00").publish("a", "1", 0, retain).publish("a", "2");
    with.expect("PUBLISH a '1' q0 retain").expect("PUBLISH a '2' q0");
    without.expect("PUBLISH a '1' q0").expect("PUBLISH a '2' q0");
    old.expect("PUBLISH a '1' q0");
}

TEST_CASE("v5[MQTT-3.3.2-5] a retained message that expired is not sent; another is with what is left") {
    broker b;
    auto& c = b.client("c").connect().expect("CONNACK 00");
    publish_options o = retain;
    o.expiry_s = 10;
    c.publish("a", "short", 0, o);
    o.expiry_s = 100;
    c.publish("b", "long", 0, o);
    b.after(40);
    c.subscribe("#", 0).expect("PUBLISH b 'long' q0 retain expiry=60").expect("SUBACK #1 00").expect_nothing();
}

TEST_CASE("a full retained store refuses new topics, still routes them, and lets known ones be replaced") {
    broker_setup setup;
    setup.limits.retained_messages_max = 1;
    broker b(setup);
    auto& c = b.client("c").connect().expect("CONNACK 00").subscribe("b", 0).expect("SUBACK #1 00");
    c.publish("a", "1", 0, retain).publish("b", "2", 0, retain).expect("PUBLISH b '2' q0").publish("a", "3", 0, retain);
    CHECK(b.total(&core::counters::retained_refused) == 1);
    c.subscribe("#", 0).expect("PUBLISH a '3' q0 retain").expect("SUBACK #2 00").expect_nothing();
}

TEST_CASE("retained messages that expired make room in a full store") {
    broker_setup setup;
    setup.limits.retained_messages_max = 2;
    broker b(setup);
    auto& c = b.client("c").connect().expect("CONNACK 00");
    publish_options o = retain;
    o.expiry_s = 10;
    c.publish("a", "1", 1, o).publish("b", "2", 1, o);
    b.after(20);
    c.publish("c", "3", 1, retain);
    CHECK(b.total(&core::counters::retained_refused) == 0);
    CHECK(b.retained->message_count() == 1);
    b.restart();
    CHECK(b.retained->message_count() == 1);
}

TEST_CASE("$SYS is retained for this run only, and nobody else may write it") {
    for (const core::shard_id shards : {core::shard_id{1}, core::shard_id{4}}) {
        broker_setup setup;
        setup.shards = shards;
        broker b(setup);
        auto& c = b.client("c").resume().expect("CONNACK 00").subscribe("$SYS/#", 2).expect("SUBACK #1 02");
        b.publish_system("$SYS/broker/uptime", "1 seconds");
        c.expect("PUBLISH $SYS/broker/uptime '1 seconds' q0");
        c.publish("$SYS/broker/uptime", "never", 1).expect("PUBACK #2 87");
        b.client("late").connect().expect("CONNACK 00").subscribe("$SYS/broker/+", 0);
        b.client("late").expect("PUBLISH $SYS/broker/uptime '1 seconds' q0 retain").expect("SUBACK #1 00");
        b.client("all").connect().expect("CONNACK 00").subscribe("#", 0).expect("SUBACK #1 00").expect_nothing();
        b.restart();
        b.client("later").connect().expect("CONNACK 00").subscribe("$SYS/#", 0).expect("SUBACK #1 00").expect_nothing();
    }
}
