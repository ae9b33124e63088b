// Bounds: full queues, slow readers, floods. Method: transcripts with clients that stop reading.
#include <doctest/doctest.h>

#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;
using core::close_cause;

TEST_CASE("a full session queue refuses its newest message and disturbs nobody else") {
    broker_setup setup;
    setup.limits.queued_messages_max = 2;
    broker b(setup);
    b.client("absent").resume().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01").cut();
    auto& other = b.client("other").connect().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    for (int i = 1; i <= 3; ++i) {
        p.publish("a", std::to_string(i), 1).expect("PUBACK #" + std::to_string(i));
        other.expect("PUBLISH a '" + std::to_string(i) + "' q1 #" + std::to_string(i));
    }
    CHECK(b.total(&core::counters::dropped_queue_full) == 1);
    b.client("absent")
        .resume()
        .expect("CONNACK 00 present")
        .expect("PUBLISH a '1' q1 #1")
        .expect("PUBLISH a '2' q1 #2")
        .expect_nothing();
}

TEST_CASE("queued_bytes_max bounds what one session keeps, in flight as well") {
    broker_setup setup;
    setup.limits.queued_bytes_max = 1000;
    broker b(setup);
    auto& s = b.client("s").connect().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    for (int i = 0; i < 10; ++i) p.publish("a", std::string(400, 'x'), 1);
    CHECK(s.take().size() == 3);
    CHECK(b.total(&core::counters::dropped_queue_full) == 5);
    for (proto::packet_id id = 1; id <= 3; ++id) s.puback(id);
    CHECK(s.take().size() == 2);
}

TEST_CASE("a slow reader loses the oldest QoS 0 messages, and never a part of one") {
    broker_setup setup;
    setup.limits.output_bytes_high = 300;
    setup.limits.backlog_messages_max = 3;
    broker b(setup);
    auto& s = b.client("s").connect().expect("CONNACK 00").subscribe("a", 0).expect("SUBACK #1 00");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    s.stop_reading();
    for (int i = 0; i < 20; ++i) p.publish("a", std::to_string(i) + std::string(100, 'x'));
    s.read(50).read(7);
    s.start_reading();
    const auto lines = s.take();
    REQUIRE(lines.size() >= 4);
    CHECK(lines.front().starts_with("PUBLISH a '0x"));
    CHECK(lines.back().starts_with("PUBLISH a '19x"));
    CHECK(lines[lines.size() - 3].starts_with("PUBLISH a '17x"));
    CHECK(lines.size() + b.total(&core::counters::dropped_slow_reader) == 20);
}

TEST_CASE("QoS 1 and 2 wait for a slow reader; large payloads are not copied into its output") {
    broker_setup setup;
    setup.limits.output_bytes_high = 1000;
    broker b(setup);
    auto& s = b.client("s").connect().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    s.stop_reading();
    for (int i = 0; i < 20; ++i) p.publish("a", std::to_string(i) + std::string(600, 'x'), 1);
    CHECK(s.output_bytes() < 2000);
    s.start_reading();
    const auto lines = s.take();
    REQUIRE(lines.size() == 20);
    for (std::size_t i = 0; i < 20; ++i) CHECK(lines[i].starts_with("PUBLISH a '" + std::to_string(i) + "x"));
}

TEST_CASE("a client that does not read its answers is not read from until it does") {
    broker_setup setup;
    setup.limits.output_bytes_max = 100;
    broker b(setup);
    auto& c = b.client("c").connect().expect("CONNACK 00").stop_reading();
    for (int i = 0; i < 100; ++i) c.ping();
    CHECK(c.paused());
    CHECK(c.output_bytes() <= 102);
    c.start_reading();
    CHECK_FALSE(c.paused());
    CHECK(c.take().size() == 100);
}

TEST_CASE("a paused client shows that it lives by reading; one that does not read at all is disconnected") {
    broker_setup setup;
    setup.limits.output_bytes_max = 100;
    broker b(setup);
    connect_options o;
    o.keep_alive_s = 10;
    auto& c = b.client("c").connect(o).expect("CONNACK 00").stop_reading();
    for (int i = 0; i < 200; ++i) c.ping();
    b.after(14);
    c.read(10);
    b.after(14);
    c.read(10);
    CHECK(c.online());
    b.after(16);
    CHECK_FALSE(c.online());
}

TEST_CASE("a CONNACK that would exceed the client's Maximum Packet Size is not sent: the CONNECT is refused") {
    broker b;
    connect_options o;
    o.packet_bytes_max = 15;
    b.client("c").connect(o).expect("CONNACK 95").expect_closed(close_cause::refused);
    CHECK(b.counts->connections.load() == 0);
}

TEST_CASE(
    "v5[MQTT-3.1.2-24] an acknowledgement that would exceed the client's Maximum Packet Size ends the connection") {
    broker b;
    connect_options o;
    o.packet_bytes_max = 100;
    std::vector<proto::topic_request> many(150, {"a", {}});
    b.client("c")
        .connect(o)
        .expect("CONNACK 00")
        .subscribe_all(many)
        .expect("DISCONNECT 95")
        .expect_closed(close_cause::overload);
}
