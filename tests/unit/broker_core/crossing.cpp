// Several shards, and the in-process client. Method: transcripts over four shards whose inboxes can be held.
#include <doctest/doctest.h>

#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;
using core::close_cause;
using proto::reason_code;

namespace {

broker_setup four() {
    broker_setup setup;
    setup.shards = 4;
    return setup;
}

} // namespace

TEST_CASE("a connection is handed to its client id's shard, and a publish crosses once per shard") {
    broker b(four());
    for (core::shard_id i = 0; i < 4; ++i) {
        for (const char* prefix : {"x", "y"}) {
            auto& c =
                b.client(living_on(i, prefix)).connect().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
            CHECK(c.shard() == i);
        }
    }
    b.client(living_on(2, "p")).connect().expect("CONNACK 00").publish("a", "x", 1).expect("PUBACK #1");
    for (core::shard_id i = 0; i < 4; ++i)
        for (const char* prefix : {"x", "y"})
            b.client(living_on(i, prefix)).expect("PUBLISH a 'x' q1 #1").expect_nothing();
    CHECK(b.total(&core::counters::crossings_sent) == 3);
}

TEST_CASE("a strict acknowledgement waits for the commits of the other shards") {
    fail_at_every_step(four(), [](broker& b) {
        b.client(living_on(1, "s")).resume().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01").cut();
        auto& p = b.client(living_on(0, "p")).resume().expect("CONNACK 00");
        b.hold_crossings();
        p.publish("a", "x", 1).expect_nothing();
        b.hold_commits();
        b.cross_one(1);
        p.expect_nothing();
        b.commit();
        p.expect_nothing();
        b.release_crossings();
        p.expect("PUBACK #1");
        b.release_commits();
    });
}

TEST_CASE("an answer for a connection that is gone is ignored") {
    broker b(four());
    b.client(living_on(1, "s")).resume().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01").cut();
    auto& p = b.client(living_on(0, "p")).resume().expect("CONNACK 00");
    b.hold_crossings();
    p.publish("a", "x", 1).expect_nothing().cut();
    p.resume().expect("CONNACK 00 present").publish("b", "y", 1).expect("PUBACK #1 10");
    b.release_crossings();
    p.expect_nothing();
}

TEST_CASE("a QoS 2 message sent again on a new connection still waits for the other shard") {
    broker b(four());
    b.client(living_on(1, "s")).resume().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01").cut();
    auto& p = b.client(living_on(0, "p")).resume().expect("CONNACK 00");
    b.hold_crossings();
    p.publish("a", "x", 2).expect_nothing().cut();
    publish_options again;
    again.id = 1;
    again.dup = true;
    p.resume().expect("CONNACK 00 present").publish("a", "x", 2, again).expect_nothing();
    b.release_crossings();
    p.expect("PUBREC #1").pubrel(1).expect("PUBCOMP #1");
    CHECK(b.store().row_count() == 1);
}

TEST_CASE("a QoS 2 message that several shards keep is one commit with its packet id") {
    broker b(four());
    for (core::shard_id shard = 0; shard < 3; ++shard)
        b.client(living_on(shard, "s")).resume().expect("CONNACK 00").subscribe("a", 2).expect("SUBACK #1 02");
    auto& p = b.client(living_on(0, "p")).resume().expect("CONNACK 00");
    b.hold_commits();
    p.publish("a", "x", 2).expect_nothing();
    CHECK(b.uncommitted() == 1);
    b.commit();
    CHECK(b.store().row_count() == 3);
    p.expect("PUBREC #1");
    b.release_commits();
    for (core::shard_id shard = 0; shard < 3; ++shard)
        b.client(living_on(shard, "s")).expect("PUBLISH a 'x' q2 #1").expect_nothing();
}

TEST_CASE("nothing overtakes a QoS 2 message that waits for its publisher's shard") {
    broker b(four());
    auto& s = b.client(living_on(1, "s")).resume().expect("CONNACK 00").subscribe("a", 2).expect("SUBACK #1 02");
    auto& p = b.client(living_on(0, "p")).resume().expect("CONNACK 00");
    auto& q = b.client(living_on(1, "q")).resume().expect("CONNACK 00");
    b.hold_crossings();
    p.publish("a", "1", 2).expect_nothing();
    CHECK(b.cross_one(1)); // the message; its row goes back
    q.publish("a", "2", 2).expect("PUBREC #1");
    s.expect_nothing();
    b.release_crossings();
    p.expect("PUBREC #1");
    s.expect("PUBLISH a '1' q2 #1").expect("PUBLISH a '2' q2 #2").expect_nothing();
}

TEST_CASE("a session that ends before the row of its QoS 2 message is committed leaves nothing behind") {
    broker b(four());
    b.client(living_on(1, "s")).resume().expect("CONNACK 00").subscribe("a", 2).expect("SUBACK #1 02").cut();
    auto& p = b.client(living_on(0, "p")).resume().expect("CONNACK 00");
    b.hold_crossings();
    p.publish("a", "x", 2).expect_nothing();
    CHECK(b.cross_one(1));
    b.client(living_on(1, "s")).connect();
    b.release_crossings();
    p.expect("PUBREC #1");
    CHECK(b.store().row_count() == 0);
}

TEST_CASE("the last message a subscriber sees is the one that is retained") {
    broker b(four());
    proto::subscription_options keep_flag;
    keep_flag.retain_as_published = true;
    auto& one =
        b.client(living_on(0, "s")).connect().expect("CONNACK 00").subscribe("a", 0, keep_flag).expect("SUBACK #1 00");
    auto& two =
        b.client(living_on(1, "s")).connect().expect("CONNACK 00").subscribe("a", 0, keep_flag).expect("SUBACK #1 00");
    auto& p = b.client(living_on(0, "p")).connect().expect("CONNACK 00");
    auto& q = b.client(living_on(1, "p")).connect().expect("CONNACK 00");
    b.hold_crossings();
    p.publish("a", "p", 0, retain);
    q.publish("a", "q", 0, retain);
    b.release_crossings();
    for (auto* s : {&one, &two})
        s->expect("PUBLISH a 'p' q0 retain").expect("PUBLISH a 'q' q0 retain").expect_nothing();
}

TEST_CASE("v5[MQTT-4.6.0-5] v5[MQTT-4.6.0-6] v311[MQTT-4.6.0-5] v311[MQTT-4.6.0-6] a message does not overtake the "
          "publisher's retained one before it") {
    broker b(four());
    auto& s = b.client(living_on(0, "s")).connect().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
    auto& p = b.client(living_on(0, "p")).connect().expect("CONNACK 00");
    b.hold_crossings();
    p.publish("a", "0", 1);
    s.expect("PUBLISH a '0' q1 #1"); // behind nothing: at once
    p.publish("a", "1", 1, retain).publish("a", "2", 1).publish("a", "3", 1);
    s.expect_nothing();
    b.release_crossings();
    s.expect("PUBLISH a '1' q1 #2").expect("PUBLISH a '2' q1 #3").expect("PUBLISH a '3' q1 #4");
    b.hold_crossings();
    p.publish("a", "4", 1);
    s.expect("PUBLISH a '4' q1 #5").expect_nothing();
}

TEST_CASE("v5[MQTT-3.3.2-5] a message that expires on its way to another shard is not begun") {
    broker b(four());
    auto& s = b.client(living_on(1, "s")).connect().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
    auto& p = b.client(living_on(0, "p")).connect().expect("CONNACK 00");
    b.hold_crossings();
    for (int qos : {0, 1})
        p.publish("a", "x", qos, {.retain = false, .dup = false, .expiry_s = 5, .alias = 0, .id = 0});
    b.after(5);
    b.release_crossings();
    s.expect_nothing();
    p.expect("PUBACK #1");
}

// --- the in-process client ---

TEST_CASE("the in-process client gets what matches, and its verdict is what the publisher is told") {
    fail_at_every_step({}, [](broker& b) {
        b.subscribe_local("device/+/status");
        auto& p = b.client("dev1").device("dev1").connect().expect("CONNACK 00");
        p.publish("device/dev1/status", "0")
            .publish("device/dev1/status", "1", 1)
            .publish("device/dev1/status", "2", 2)
            .expect_nothing();
        if (b.muted()) return;
        REQUIRE(b.locals.size() == 3);
        CHECK_FALSE(b.locals[0].token);
        CHECK(b.locals[1].from.client_id == "dev1");
        b.verdict(b.locals[2].token, reason_code::payload_format_invalid, "no JSON");
        p.expect_nothing(); // in order
        b.verdict(b.locals[1].token);
        p.expect("PUBACK #1").expect("PUBREC #2 99");
        publish_options same;
        same.id = 2;
        p.publish("device/dev1/status", "new", 2, same); // v5[MQTT-4.3.3-9]: the id is free again
        if (!b.muted()) CHECK(b.locals.size() == 4);
        b.verdict(b.locals[1].token); // a second time: nobody waits
        p.expect_nothing();
    });
}

TEST_CASE("a verdict that says not now ends the connection, and the message counts as new when it comes again") {
    broker b;
    b.subscribe_local("a");
    auto& p = b.client("p").resume().expect("CONNACK 00").publish("a", "x", 2);
    b.verdict(b.locals[0].token, reason_code::quota_exceeded, "the disk is full");
    p.expect("DISCONNECT 97").expect_closed(close_cause::not_durable);
    publish_options again;
    again.id = 1;
    again.dup = true;
    p.resume().expect("CONNACK 00 present").publish("a", "x", 2, again).expect_nothing();
    REQUIRE(b.locals.size() == 2);
    b.verdict(b.locals[1].token);
    p.expect("PUBREC #1");
}

TEST_CASE("a QoS 2 message is not recorded as received before the in-process client has it") {
    broker b;
    b.subscribe_local("a");
    auto& p = b.client("p").resume().expect("CONNACK 00").publish("a", "x", 2).expect_nothing();
    b.restart();
    b.subscribe_local("a");
    publish_options again;
    again.id = 1;
    again.dup = true;
    p.resume().expect("CONNACK 00 present").publish("a", "x", 2, again).expect_nothing();
    REQUIRE(b.locals.size() == 1);
    b.verdict(b.locals[0].token);
    p.expect("PUBREC #1");
}

TEST_CASE("a live publication reaches who is there and is queued for nobody") {
    for (const core::shard_id shards : {core::shard_id{1}, core::shard_id{4}}) {
        broker_setup setup;
        setup.shards = shards;
        broker b(setup);
        b.client("away").resume().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01").cut();
        auto& here = b.client("here").resume().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
        b.publish_live({"a", "now", proto::qos::at_least_once, 0});
        here.expect("PUBLISH a 'now' q1 #1").cut();
        b.client("away").resume().expect("CONNACK 00 present").expect_nothing();
        here.resume().expect("CONNACK 00 present").expect_nothing(); // it ended with the connection
    }
}

TEST_CASE("a direct delivery goes to that connection, or live to whoever subscribes where that one does not read") {
    broker b;
    b.subscribe_local("ask");
    auto& c = b.client("c").resume().expect("CONNACK 00").subscribe("answer", 0, {}, 3).expect("SUBACK #1 00");
    auto& other = b.client("other").connect().expect("CONNACK 00").subscribe("answer").expect("SUBACK #1 02");
    c.publish("ask", "1");
    const auto from = b.locals.at(0).from;
    b.deliver({from.session, from.epoch, "answer", "block", {}});
    c.expect("PUBLISH answer 'block' q0 subs=3");
    other.expect_nothing();
    c.cut();
    c.resume().expect("CONNACK 00 present");
    b.deliver({from.session, from.epoch, "answer", "stale", {}});
    other.expect("PUBLISH answer 'stale' q0");
    c.expect("PUBLISH answer 'stale' q0 subs=3").unsubscribe({"answer"}).expect("UNSUBACK #1 00");
}

TEST_CASE("peers are reported connected, subscribed, unsubscribed and disconnected in order, with rising epochs") {
    broker b;
    auto& c = b.client("c").resume().expect("CONNACK 00").subscribe("a").expect("SUBACK #1 02").cut();
    c.resume().unsubscribe({"a"}).disconnect();
    using kind = core::peer_event::kind;
    const kind expected[]{kind::connected,  kind::subscribed,   kind::disconnected, kind::connected,
                          kind::subscribed, kind::unsubscribed, kind::disconnected};
    REQUIRE(b.peers.size() == std::size(expected));
    for (std::size_t i = 0; i < b.peers.size(); ++i) {
        CHECK(b.peers[i].what == expected[i]);
        CHECK(b.peers[i].order == i);
    }
    CHECK(b.peers[3].peer.epoch > b.peers[0].peer.epoch);
}
