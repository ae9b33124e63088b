// After a start the engine serves sessions whose queues are still to be read: what is new waits behind what is not
// there yet, and nothing that happens meanwhile loses or doubles it.
#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;

namespace {

constexpr auto later = broker::queues::later;

/// "s" is subscribed to a with QoS 2, and away; three messages wait.
struct waiting_world {
    explicit waiting_world(broker_setup setup = {})
        : b(std::move(setup)) {
        s.resume().subscribe("a", 2).take();
        s.cut();
        p.connect().publish("a", "1", 1).publish("a", "2", 2).publish("a", "3", 1).take();
    }
    void restart() {
        b.restart(later);
        p.connect().expect("CONNACK 00");
    }

    broker b;
    client& s = b.client("s");
    client& p = b.client("p");
};

} // namespace

TEST_CASE("CONNACK does not wait for the queue, which is delivered as soon as it is there") {
    waiting_world w;
    w.restart();
    w.s.resume().expect("CONNACK 00 present").ping().expect("PINGRESP").expect_nothing();
    w.b.read_queues();
    w.s.expect("PUBLISH a '1' q1 #1").expect("PUBLISH a '3' q1 #3").expect("PUBLISH a '2' q2 #2").expect_nothing();
    w.b.read_queues();
    w.s.expect_nothing();
}

TEST_CASE("v5[MQTT-4.6.0-5] v5[MQTT-4.6.0-6] what is published before the queue is there comes behind it") {
    waiting_world w;
    w.restart();
    SUBCASE("to a client that is there") { w.s.resume().expect("CONNACK 00 present"); }
    SUBCASE("to one that comes later") {}
    w.p.publish("a", "4", 1).expect("PUBACK #1").publish("a", "5", 2).expect("PUBREC #2");
    if (w.s.online()) w.s.expect_nothing();
    w.b.read_queues();
    if (!w.s.online()) w.s.resume().expect("CONNACK 00 present");
    w.s.expect("PUBLISH a '1' q1 #1").expect("PUBLISH a '3' q1 #3").expect("PUBLISH a '4' q1 #4");
    w.s.expect("PUBLISH a '2' q2 #2").expect("PUBLISH a '5' q2 #5").expect_nothing(); // after their commits
    w.s.puback(1).puback(3).puback(4).cut();
    w.b.restart();
    w.s.resume().expect("CONNACK 00 present");
    w.s.expect("PUBLISH a '2' q2 #2 dup").expect("PUBLISH a '5' q2 #5 dup").expect_nothing();
}

TEST_CASE("power lost before the queue is there: old and new are kept") {
    waiting_world w;
    w.restart();
    w.s.resume().expect("CONNACK 00 present");
    w.p.publish("a", "4", 1).expect("PUBACK #1");
    w.restart();
    w.b.read_queues();
    w.s.resume().expect("CONNACK 00 present").expect("PUBLISH a '1' q1 #1").expect("PUBLISH a '3' q1 #3");
    w.s.expect("PUBLISH a '4' q1 #4").expect("PUBLISH a '2' q2 #2").expect_nothing();
}

TEST_CASE("QoS 0 does not wait for what is not there yet") {
    waiting_world w;
    w.restart();
    w.s.resume().expect("CONNACK 00 present");
    w.p.publish("a", "now", 0);
    w.s.expect("PUBLISH a 'now' q0").expect_nothing();
}

TEST_CASE("v5[MQTT-4.4.0-1] what was in flight is sent again with its ids before anything new, acknowledged or not") {
    broker b;
    auto& s = b.client("s").resume().subscribe("a", 2);
    auto& p = b.client("p").connect();
    p.publish("a", "1", 1).publish("a", "2", 2).publish("a", "3", 2).take();
    s.pubrec(3).take();
    b.restart(later);
    p.connect().publish("a", "4", 1).take();
    s.resume().expect("CONNACK 00 present");
    SUBCASE("its acknowledgements come with the PUBLISH") {}
    SUBCASE("its acknowledgements are faster than the queue") {
        s.puback(1).pubrec(2).pubcomp(3).puback(77).expect_nothing();
        b.read_queues();
        s.expect("PUBLISH a '1' q1 #1 dup").expect("PUBLISH a '2' q2 #2 dup").expect("PUBREL #3");
        s.expect("PUBLISH a '4' q1 #4").expect("PUBREL #2").expect_nothing();
        s.pubrec(2).expect("PUBREL #2").pubcomp(2).puback(4).expect_nothing();
        CHECK(b.store().row_count() == 0);
        return;
    }
    b.read_queues();
    s.expect("PUBLISH a '1' q1 #1 dup").expect("PUBLISH a '2' q2 #2 dup").expect("PUBREL #3");
    s.expect("PUBLISH a '4' q1 #4").puback(1).pubcomp(3).puback(4).pubrec(2).expect("PUBREL #2").pubcomp(2);
    CHECK(b.store().row_count() == 0);
}

TEST_CASE("acknowledgements that come before the queue end with their connection, and are bounded") {
    broker_setup setup;
    setup.limits.inflight_max = 2;
    broker b(setup);
    auto& s = b.client("s").resume().subscribe("a", 2);
    b.client("p").connect().publish("a", "1", 2).take();
    s.take();
    b.restart(later);
    s.resume().expect("CONNACK 00 present");
    for (proto::packet_id id = 100; id < 104; ++id) s.puback(id);
    s.pubrec(1).expect_nothing(); // no room for it: as if it had not come
    s.cut().resume().expect("CONNACK 00 present").pubrec(1).cut();
    s.resume().expect("CONNACK 00 present");
    b.read_queues();
    s.expect("PUBLISH a '1' q2 #1 dup").expect_nothing();
}

TEST_CASE("a clean start ends the session with what it had not read yet") {
    waiting_world w;
    w.restart();
    w.s.connect().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
    CHECK(w.b.store().row_count() == 0);
    w.p.publish("a", "4", 1).expect("PUBACK #1");
    w.s.expect("PUBLISH a '4' q1 #1");
    w.b.read_queues();
    w.s.expect_nothing();
}

TEST_CASE("a session that expires before its queue is there ends like any other") {
    broker b;
    b.client("s").resume(10).subscribe("a", 1).take();
    b.client("s").cut();
    b.client("p").connect().publish("a", "1", 1).take();
    b.restart(later);
    b.after(11);
    CHECK(b.session_count() == 0);
    CHECK(b.store().session_count() == 0);
    b.read_queues();
    b.client("s").resume().expect("CONNACK 00").expect_nothing();
}

TEST_CASE("the session's slot, used again, does not get the other's queue") {
    broker b;
    b.client("s").resume(10).subscribe("a", 1).take();
    b.client("s").cut();
    b.client("p").connect().publish("a", "1", 1).take();
    b.restart(later);
    b.after(11);
    auto& other = b.client("other").resume().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
    b.read_queues();
    other.expect_nothing();
}

TEST_CASE("v5[MQTT-3.1.4-3] a take-over before the queue is there: it goes to the second connection") {
    waiting_world w;
    w.restart();
    w.s.resume().expect("CONNACK 00 present");
    w.s.cut().resume().expect("CONNACK 00 present").expect_nothing();
    w.b.read_queues();
    w.s.expect("PUBLISH a '1' q1 #1").expect("PUBLISH a '3' q1 #3").expect("PUBLISH a '2' q2 #2").expect_nothing();
}

TEST_CASE("a client that comes to end its session with the connection still gets its queue") {
    waiting_world w;
    w.restart();
    w.s.resume(0).expect("CONNACK 00 present");
    w.b.read_queues();
    w.s.expect("PUBLISH a '1' q1 #1").expect("PUBLISH a '3' q1 #3").expect("PUBLISH a '2' q2 #2").cut();
    CHECK(w.b.store().session_count() == 0);
    CHECK(w.b.store().row_count() == 0);
}

TEST_CASE("the bound of the queue counts what is not there yet") {
    broker_setup setup;
    setup.limits.queued_messages_max = 4;
    waiting_world w(setup);
    w.restart();
    w.p.publish("a", "4", 1).expect("PUBACK #1").publish("a", "5", 1).expect("PUBACK #2");
    w.b.read_queues();
    w.s.resume().expect("CONNACK 00 present").expect("PUBLISH a '1' q1 #1").expect("PUBLISH a '3' q1 #3");
    w.s.expect("PUBLISH a '2' q2 #2").expect_nothing();
}

TEST_CASE("a client that lost its rights while the broker was down does not get what it had queued") {
    bool allowed = true;
    broker_setup setup;
    setup.configure = [&](core::engine_config& c) {
        if (!allowed) c.acl = core::acl(std::vector{core::acl_rule{"anonymous", {"a"}, {}}});
    };
    waiting_world w(setup);
    allowed = false;
    w.restart();
    w.s.resume().expect("CONNACK 00 present");
    w.b.read_queues();
    w.s.expect_nothing();
    CHECK(w.b.store().row_count() == 0);
}

TEST_CASE("retained messages of QoS 1 wait behind the queue, and with QoS 0 do not") {
    waiting_world w;
    w.p.publish("r", "kept", 1, retain).take();
    w.restart();
    w.s.resume().expect("CONNACK 00 present");
    SUBCASE("QoS 0") { w.s.subscribe("r", 0).expect("PUBLISH r 'kept' q0 retain").expect("SUBACK #1 00"); }
    SUBCASE("QoS 1") {
        w.s.subscribe("r", 1).expect("SUBACK #1 01").expect_nothing();
        w.b.read_queues();
        w.s.expect("PUBLISH a '1' q1 #1").expect("PUBLISH a '3' q1 #3").expect("PUBLISH r 'kept' q1 #4 retain");
        w.s.expect("PUBLISH a '2' q2 #2").expect_nothing();
    }
}
