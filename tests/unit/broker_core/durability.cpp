// What is acknowledged has been committed, what was committed survives, and nothing is held back longer than that.
// Method: transcripts over a store whose commits can be held, and restarts that lose what was not committed.
#include <doctest/doctest.h>

#include <random>
#include <set>

#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;
using core::close_cause;
using core::durability;
using proto::reason_code;

namespace {

client& absent(broker& b, int qos = 2) {
    return b.client("absent")
        .resume()
        .expect("CONNACK 00")
        .subscribe("a", qos)
        .expect("SUBACK #1 0" + std::to_string(qos))
        .cut();
}
} // namespace

TEST_CASE("a strict PUBACK leaves after the commit that holds the message, which the subscriber has at once") {
    fail_at_every_step({}, [](broker& b) {
        auto& s = b.client("s").resume().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
        auto& p = b.client("p").connect().expect("CONNACK 00");
        b.hold_commits();
        p.publish("a", "x", 1).expect_nothing();
        s.expect("PUBLISH a 'x' q1 #1");
        b.release_commits();
        p.expect("PUBACK #1").expect_nothing();
    });
}

TEST_CASE("batched and none do not wait for a commit") {
    for (const durability kept : {durability::batched, durability::none}) {
        broker_setup setup;
        setup.otherwise = kept;
        broker b(setup);
        auto& s = b.client("s").resume().expect("CONNACK 00").subscribe("a", 2).expect("SUBACK #1 02");
        auto& p = b.client("p").resume().expect("CONNACK 00");
        b.hold_commits();
        p.publish("a", "x", 1).expect("PUBACK #1").publish("a", "y", 2).expect("PUBREC #2");
        s.expect("PUBLISH a 'x' q1 #1").expect("PUBLISH a 'y' q2 #2").pubrec(2).expect("PUBREL #2");
        p.publish("a", "z", 1, retain).expect("PUBACK #3");
    }
}

TEST_CASE("the longest durability rule that matches decides") {
    broker_setup setup;
    setup.otherwise = durability::none;
    setup.durability_rules = {{"a/#", durability::strict}, {"a/b/#", durability::none}};
    broker b(setup);
    b.client("absent").resume().expect("CONNACK 00").subscribe("#", 1).expect("SUBACK #1 01").cut();
    auto& p = b.client("p").connect().expect("CONNACK 00");
    b.hold_commits();
    p.publish("c", "x", 1)
        .expect("PUBACK #1")
        .publish("a/b/c", "x", 1)
        .expect("PUBACK #2")
        .publish("a/c", "x", 1)
        .expect_nothing();
    b.release_commits();
    p.expect("PUBACK #3");
}

TEST_CASE("what nobody has to keep is acknowledged at once") {
    broker b;
    b.client("s").connect().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    b.hold_commits();
    p.publish("a", "x", 1).expect("PUBACK #1").publish("b", "x", 2).expect("PUBREC #2 10");
}

TEST_CASE("SUBACK, UNSUBACK and a strict retained publish wait for their commit") {
    broker b;
    auto& c = b.client("c").resume().expect("CONNACK 00");
    b.hold_commits();
    c.subscribe("a").expect_nothing();
    b.commit();
    c.expect("SUBACK #1 02").unsubscribe({"a"}).expect_nothing();
    b.commit();
    c.expect("UNSUBACK #2 00").publish("a", "x", 1, retain).expect_nothing();
    b.commit();
    c.expect("PUBACK #3 10");
}

TEST_CASE("QoS 2 waits for a commit before PUBREC, PUBLISH, PUBREL and PUBCOMP") {
    fail_at_every_step({}, [](broker& b) {
        auto& s = b.client("s").resume().expect("CONNACK 00").subscribe("a", 2).expect("SUBACK #1 02");
        auto& p = b.client("p").resume().expect("CONNACK 00");
        b.hold_commits();
        p.publish("a", "x", 2).expect_nothing();
        s.expect_nothing();
        b.commit();
        p.expect("PUBREC #1");
        s.expect("PUBLISH a 'x' q2 #1").pubrec(1).expect_nothing();
        b.commit();
        s.expect("PUBREL #1");
        p.pubrel(1).expect_nothing();
        b.commit();
        p.expect("PUBCOMP #1");
        s.pubcomp(1);
        b.release_commits();
        if (!b.muted()) CHECK(b.store().row_count() == 0);
    });
}

TEST_CASE("v5[MQTT-4.6.0-6] v311[MQTT-4.6.0-6] QoS 2 does not overtake in a session no longer stored") {
    broker b;
    auto& s = b.client("s").resume().expect("CONNACK 00").subscribe("a", 2).expect("SUBACK #1 02");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    b.hold_commits();
    p.publish("a", "x", 2);
    s.cut().resume(0).expect("CONNACK 00 present");
    p.publish("a", "y", 2);
    s.expect_nothing();
    b.release_commits();
    s.expect("PUBLISH a 'x' q2 #1").expect("PUBLISH a 'y' q2 #2").expect_nothing();
}

TEST_CASE("a QoS 2 PUBLISH that comes again before its commit is acknowledged after it") {
    broker b;
    absent(b);
    auto& p = b.client("p").resume().expect("CONNACK 00");
    b.hold_commits();
    p.publish("a", "x", 2).expect_nothing().cut();
    publish_options again;
    again.dup = true;
    again.id = 1;
    p.resume().expect("CONNACK 00 present").publish("a", "x", 2, again).expect_nothing();
    b.release_commits();
    p.expect("PUBREC #1").pubrel(1).expect("PUBCOMP #1").expect_nothing();
    CHECK(b.store().row_count() == 1);
}

TEST_CASE("a commit that takes longer than ack_wait_max_s ends the connection and keeps the session") {
    broker b;
    absent(b);
    auto& five = b.client("five").resume().expect("CONNACK 00");
    auto& three = b.client_v311("three").resume().expect("CONNACK 00");
    b.hold_commits();
    five.publish("a", "x", 1);
    three.publish("a", "y", 1);
    b.after(9);
    five.publish("a", "z", 1).expect_nothing();
    b.after(1);
    five.expect("DISCONNECT 97").expect_closed(close_cause::not_durable);
    three.expect_closed(close_cause::not_durable);
    b.release_commits();
    five.resume().expect("CONNACK 00 present").expect_nothing();
}

TEST_CASE(
    "v5[MQTT-3.3.4-9] what waits for its commit when the client comes back takes a place in its Receive Maximum") {
    fail_at_every_step({}, [](broker& b) {
        auto& s = b.client("s").resume().expect("CONNACK 00").subscribe("a", 2).expect("SUBACK #1 02");
        auto& p = b.client("p").connect().expect("CONNACK 00");
        b.hold_commits();
        p.publish("a", "x", 2).publish("a", "y", 2);
        s.cut();
        connect_options o;
        o.clean = false;
        o.expiry_s = 3600;
        o.receive_maximum = 1;
        s.connect(o).expect("CONNACK 00 present").expect_nothing();
        b.release_commits();
        s.expect("PUBLISH a 'x' q2 #1").expect_nothing();
        s.pubrec(1).expect("PUBREL #1").expect_nothing();
        s.pubcomp(1).expect("PUBLISH a 'y' q2 #2").expect_nothing();
    });
}

TEST_CASE("v5[MQTT-3.8.3-3] no-local goes by the client id: over sessions and restarts, and no other client's") {
    broker b;
    proto::subscription_options o;
    o.no_local = true;
    b.client("p").connect().expect("CONNACK 00").publish("a", "x", 1, retain).expect("PUBACK #1 10");
    const auto check = [&] {
        b.client("p").connect().expect("CONNACK 00").subscribe("a", 0, o).expect("SUBACK #1 00").expect_nothing();
        b.client("other").connect().expect("CONNACK 00").subscribe("a", 0, o).expect("PUBLISH a 'x' q0 retain");
        b.client("other").disconnect();
        b.client("p").disconnect();
    };
    SUBCASE("another session") {
        b.client("p").disconnect();
        check();
    }
    SUBCASE("a restart") {
        b.restart();
        check();
    }
}

TEST_CASE("a second power cut does not start the time of a session or a will anew") {
    broker b;
    connect_options o;
    o.expiry_s = 100;
    o.will.emplace();
    o.will->topic = "w";
    o.will->payload = "gone";
    o.will->delay_s = 60;
    b.client("c").connect(o).expect("CONNACK 00");
    b.restart();
    b.after(40);
    b.restart();
    auto& s = b.client("s").connect().expect("CONNACK 00").subscribe("w").expect("SUBACK #1 02");
    b.after(19);
    s.expect_nothing();
    b.after(2);
    s.expect("PUBLISH w 'gone' q0");
    b.after(40);
    b.client("c").connect(o).expect("CONNACK 00").expect_nothing();
}

TEST_CASE("a retained message that is acknowledged as cleared stays cleared, though another cleared it first") {
    broker b;
    auto& p = b.client("p").connect().expect("CONNACK 00").publish("a", "x", 1, retain).expect("PUBACK #1 10");
    b.hold_commits();
    p.publish("a", "", 0, retain).publish("a", "", 1, retain).expect_nothing();
    b.release_commits();
    p.expect("PUBACK #2 10");
    b.restart();
    b.client("s").connect().expect("CONNACK 00").subscribe("a").expect("SUBACK #1 02").expect_nothing();
}

TEST_CASE("a client owed too many acknowledgements is read from again when they have left") {
    broker_setup setup;
    setup.limits.pending_acks_max = 2;
    broker b(setup);
    absent(b);
    auto& p = b.client("p").connect().expect("CONNACK 00");
    b.hold_commits();
    for (int i = 0; i < 4; ++i) p.publish("a", "x", 1);
    p.ping().expect_nothing();
    CHECK(p.paused());
    b.release_commits();
    p.expect("PUBACK #1").expect("PUBACK #2").expect("PUBACK #3").expect("PUBACK #4").expect("PINGRESP");
    CHECK_FALSE(p.paused());
}

TEST_CASE(
    "after a restart sessions, subscriptions, queues, QoS 2 state, retained messages and wills are as they were") {
    broker b;
    auto& s = b.client("s").resume().expect("CONNACK 00").subscribe("a", 2, {}, 9).expect("SUBACK #1 02");
    auto& p =
        b.client("p").resume().expect("CONNACK 00").publish("a", "1", 2).publish("a", "2", 2).publish("a", "3", 1);
    s.expect("PUBLISH a '1' q2 #1 subs=9")
        .pubrec(1)
        .expect("PUBLISH a '2' q2 #2 subs=9")
        .expect("PUBLISH a '3' q1 #3 subs=9")
        .expect("PUBREL #1");
    p.publish("r", "kept", 1, retain);
    connect_options o;
    o.clean = false;
    o.expiry_s = 1000;
    o.will.emplace();
    o.will->topic = "a";
    o.will->payload = "gone";
    o.will->quality = proto::qos::at_least_once;
    o.will->delay_s = 5;
    b.client("w").connect(o).expect("CONNACK 00");
    b.restart();
    s.resume().expect("CONNACK 00 present").expect("PUBREL #1").expect("PUBLISH a '2' q2 #2 dup subs=9");
    s.expect("PUBLISH a '3' q1 #3 dup subs=9")
        .subscribe("r", 0)
        .expect("PUBLISH r 'kept' q0 retain")
        .expect("SUBACK #1 00");
    publish_options again;
    again.id = 2;
    p.resume()
        .expect("CONNACK 00 present")
        .publish("a", "2", 2, again)
        .expect("PUBREC #2")
        .pubrel(2)
        .expect("PUBCOMP #2");
    s.expect_nothing();
    b.after(5);
    s.expect("PUBLISH a 'gone' q1 #4 subs=9").expect_nothing();
}

TEST_CASE("the time switched off counts for a session's expiry, a wrong clock does not") {
    broker b;
    b.client("c").resume(1000).expect("CONNACK 00").cut();
    b.set_wall_clock(b.now().unix_ms + 2'000'000);
    b.restart();
    b.after(1);
    CHECK(b.session_count() == 0);
    const auto today = b.now().unix_ms;
    b.set_wall_clock(1000); // 1970
    b.client("c").resume(1000).expect("CONNACK 00").cut();
    b.set_wall_clock(today);
    b.restart();
    b.after(1);
    CHECK(b.session_count() == 1);
}

TEST_CASE("wherever the power goes, what was acknowledged arrives, and QoS 2 arrives once") {
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 60; ++round) {
        broker_setup setup;
        setup.shards = round % 2 ? 4 : 1;
        broker b(setup);
        auto& s = b.client("s").resume();
        s.subscribe("a", 2).take();
        auto& p = b.client("p").resume();
        p.take();
        std::set<int> acknowledged;
        std::map<int, int> arrived;
        std::set<proto::packet_id> receiving; // of the subscriber, kept like a good client does
        const auto read = [&] {
            for (std::string bytes = s.take_bytes(); !bytes.empty(); bytes = s.take_bytes()) {
                const auto packet = decode_one(bytes, proto::version::v5, false);
                if (const auto* m = std::get_if<proto::publish>(&*packet)) {
                    if (receiving.insert(m->id).second) ++arrived[std::stoi(std::string(m->payload))];
                    s.pubrec(m->id);
                } else if (const auto* r = std::get_if<proto::pubrel>(&*packet)) {
                    receiving.erase(r->id);
                    s.pubcomp(r->id);
                }
            }
        };
        for (int n = 1; n <= 20; ++n) {
            const auto id = static_cast<proto::packet_id>(n);
            publish_options o;
            o.id = id;
            if (random() % 2) b.hold_commits();
            // A client that sends again until it has its answer.
            for (bool received = false, complete = false; !complete;) {
                if (!p.online()) p.resume().take();
                if (!s.online()) s.resume();
                if (!received)
                    p.publish("a", std::to_string(n), 2, o);
                else
                    p.pubrel(id);
                o.dup = true;
                if (random() % 4 == 0) b.commit();
                if (random() % 6 == 0) read();
                if (random() % 6 == 0)
                    b.restart();
                else if (random() % 6 == 0)
                    p.cut();
                else if (random() % 6 == 0)
                    s.cut();
                else
                    b.release_commits();
                for (const auto& line : p.take()) {
                    received |= line.starts_with("PUBREC");
                    complete |= line.starts_with("PUBCOMP");
                }
            }
            acknowledged.insert(n);
            b.release_commits();
        }
        for (int i = 0; i < 10; ++i) {
            if (!s.online()) s.resume();
            read();
        }
        for (const int n : acknowledged) {
            INFO("round " << round << " message " << n);
            CHECK(arrived[n] == 1);
        }
    }
}

TEST_CASE("what a broken connection has undone is durable before the next is told that it is not there") {
    broker b;
    auto& s = b.client("s").resume().expect("CONNACK 00").subscribe("a", 2).expect("SUBACK #1 02");
    s.publish("x", "1", 2).expect("PUBREC #2 10");
    b.hold_commits();
    SUBCASE("a packet identifier") {
        s.pubrel(2).cut().resume().expect("CONNACK 00 present").pubrel(2).expect_nothing();
        b.release_commits();
        s.expect("PUBCOMP #2 92");
    }
    SUBCASE("a subscription") {
        s.unsubscribe({"a"}).cut().resume().expect("CONNACK 00 present").unsubscribe({"a"}).expect_nothing();
        b.release_commits();
        s.expect("UNSUBACK #1 11");
    }
}
