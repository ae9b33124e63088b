// How sessions end and what wills do. Method: transcripts.
#include <doctest/doctest.h>

#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;
using core::close_cause;
using proto::reason_code;

namespace {

connect_options with_will(std::uint32_t expiry_s = 0, std::uint32_t delay_s = 0, bool retain = false) {
    connect_options o;
    o.clean = false;
    o.expiry_s = expiry_s;
    o.will.emplace();
    o.will->topic = "w";
    o.will->payload = "gone";
    o.will->retain = retain;
    o.will->delay_s = delay_s;
    return o;
}

client& watcher(broker& b) {
    return b.client("watcher").connect().expect("CONNACK 00").subscribe("w", 2).expect("SUBACK #1 02");
}

} // namespace

TEST_CASE("v5[MQTT-3.1.2-7] v5[MQTT-3.1.2-8] v5[MQTT-3.1.2-14] v311[MQTT-3.1.2-8] v311[MQTT-3.1.2-16] a lost "
          "connection publishes the will") {
    fail_at_every_step({}, [](broker& b) {
        auto& w = watcher(b);
        b.client("c").connect(with_will()).expect("CONNACK 00").cut();
        w.expect("PUBLISH w 'gone' q0").expect_nothing();
        b.client_v311("old").connect(with_will()).expect("CONNACK 00").cut();
        w.expect("PUBLISH w 'gone' q0").expect_nothing();
        b.client("plain").connect().expect("CONNACK 00").cut();
        b.client("late").connect().expect("CONNACK 00").subscribe("w", 0).expect("SUBACK #1 00").expect_nothing();
        if (!b.muted()) CHECK(b.total(&core::counters::wills_published) == 2);
    });
}

TEST_CASE("v5[MQTT-3.14.4-3] v5[MQTT-3.1.2-10] v311[MQTT-3.14.4-3] v311[MQTT-3.1.2-10] DISCONNECT removes the will, "
          "unless it says otherwise") {
    broker b;
    auto& w = watcher(b);
    b.client("c")
        .connect(with_will(100, 50))
        .expect("CONNACK 00")
        .disconnect()
        .expect_closed(close_cause::client_disconnect);
    b.after(200);
    b.client_v311("old").connect(with_will()).expect("CONNACK 00").disconnect();
    w.expect_nothing();
    b.client("c").connect(with_will()).expect("CONNACK 00").disconnect(reason_code::disconnect_with_will);
    w.expect("PUBLISH w 'gone' q0").expect_nothing();
}

TEST_CASE("a protocol violation, a keep-alive timeout and a take-over publish the will") {
    broker b;
    auto& w = watcher(b);
    b.client("c").connect(with_will()).connect();
    w.expect("PUBLISH w 'gone' q0");
    connect_options o = with_will();
    o.keep_alive_s = 1;
    b.client("d").connect(o);
    b.after(2);
    w.expect("PUBLISH w 'gone' q0");
    b.client("e").connect(with_will());
    b.client("f").named("e").connect().expect("CONNACK 00");
    w.expect("PUBLISH w 'gone' q0").expect_nothing();
}

TEST_CASE("v5[MQTT-3.1.2-8] v5[MQTT-3.1.3-9] a delayed will is published when the delay is over, unless the client is "
          "back by then") {
    fail_at_every_step({}, [](broker& b) {
        auto& w = watcher(b);
        auto& c = b.client("c");
        c.connect(with_will(100, 20)).expect("CONNACK 00").cut();
        b.after(19);
        w.expect_nothing();
        c.resume(100).expect("CONNACK 00 present").cut();
        b.after(50);
        w.expect_nothing();
        c.connect(with_will(100, 20)).expect("CONNACK 00 present").cut();
        b.after(20);
        w.expect("PUBLISH w 'gone' q0").expect_nothing();
    });
}

TEST_CASE("a delayed will is published at the latest when its session ends: by expiry or by a clean start") {
    broker b;
    auto& w = watcher(b);
    b.client("c").connect(with_will(10, 0xFFFF'FFFF)).expect("CONNACK 00").cut();
    b.after(9);
    w.expect_nothing();
    b.after(1);
    w.expect("PUBLISH w 'gone' q0");
    b.client("d").connect(with_will(1000, 500)).expect("CONNACK 00").cut();
    b.client("d").connect().expect("CONNACK 00");
    w.expect("PUBLISH w 'gone' q0").expect_nothing();
}

TEST_CASE("v5[MQTT-3.1.2-15] v311[MQTT-3.1.2-17] a retained will is kept for later subscribers, its expiry counted "
          "from its publication") {
    broker b;
    connect_options o = with_will(100, 50, true);
    o.will->properties.message_expiry_s = 30;
    b.client("c").connect(o).expect("CONNACK 00").cut();
    b.after(50);
    b.after(10);
    b.client("s")
        .connect()
        .expect("CONNACK 00")
        .subscribe("w", 0)
        .expect("PUBLISH w 'gone' q0 retain expiry=20")
        .expect("SUBACK #1 00");
}

TEST_CASE("v5[MQTT-3.1.2-23] v5[MQTT-4.1.0-2] v5[MQTT-4.5.0-1] v311[MQTT-3.1.2-5] v311[MQTT-4.5.0-1] a session and its "
          "queue last as long as its expiry") {
    fail_at_every_step({}, [](broker& b) {
        auto& c = b.client("c");
        c.resume(100).expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01").cut();
        b.client("p").connect().expect("CONNACK 00").publish("a", "1", 1).publish("a", "zero");
        b.after(99);
        c.resume(100).expect("CONNACK 00 present").expect("PUBLISH a '1' q1 #1").expect_nothing().cut();
        b.after(100);
        c.resume(100).expect("CONNACK 00").expect_nothing();
    });
}

TEST_CASE("DISCONNECT may change the expiry, but not raise it from zero") {
    broker b;
    auto& c = b.client("c");
    c.resume(100).expect("CONNACK 00").disconnect({}, 1000).expect_closed(close_cause::client_disconnect);
    b.after(500);
    c.resume(100).expect("CONNACK 00 present").disconnect({}, 0).expect_closed(close_cause::client_disconnect);
    CHECK(b.session_count() == 0);
    CHECK(b.store().session_count() == 0);
    c.connect()
        .expect("CONNACK 00")
        .disconnect({}, 10)
        .expect("DISCONNECT 82")
        .expect_closed(close_cause::protocol_violation);
}

TEST_CASE("a resumed session that asks for no expiry ends with its connection, also on disk") {
    broker b;
    auto& c = b.client("c");
    c.resume(100).expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01").cut();
    c.resume(0).expect("CONNACK 00 present").publish("a", "x", 1).expect("PUBLISH a 'x' q1 #1").expect("PUBACK #1");
    c.cut();
    CHECK(b.session_count() == 0);
    CHECK(b.store().session_count() == 0);
    CHECK(b.index->subscription_count() == 0);
}

TEST_CASE("an expiry of 0xFFFFFFFF never comes") {
    broker b;
    b.client("c").resume(0xFFFF'FFFF).expect("CONNACK 00").cut();
    b.client_v311("d").resume().expect("CONNACK 00").cut();
    CHECK(b.engine().next_deadline_ms() == core::never);
    b.after(10'000'000'000);
    CHECK(b.session_count() == 2);
}

TEST_CASE("clients that come and go leave no deadlines behind") {
    broker b;
    connect_options o = with_will(100'000, 90'000);
    o.keep_alive_s = 65535;
    for (int i = 0; i < 1000; ++i) b.client("c").connect(o).cut();
    int wakes = 0;
    for (; b.engine().next_deadline_ms() != core::never; ++wakes)
        b.after_ms(b.engine().next_deadline_ms() - b.now().mono_ms);
    CHECK(wakes < 10);
    CHECK(b.session_count() == 0);
}

TEST_CASE("v5[MQTT-3.1.2-23] v5[MQTT-4.1.0-2] a session outlives the delay of its will, and not its own expiry") {
    broker b;
    auto& w = watcher(b);
    auto& c = b.client("c").connect(with_will(100, 10)).expect("CONNACK 00").cut();
    b.after(50);
    w.expect("PUBLISH w 'gone' q0");
    c.resume(100).expect("CONNACK 00 present").cut();
    b.after(100);
    c.resume(100).expect("CONNACK 00");
}
