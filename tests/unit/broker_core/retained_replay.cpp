// Many retained messages to one new subscription. Method: transcripts with bounds that are far below their number.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;

namespace {

constexpr int count = 3000;
broker_setup small_queues() {
    broker_setup setup;
    setup.limits.inflight_max = 4;
    setup.limits.queued_messages_max = 10;
    setup.limits.backlog_messages_max = 10;
    setup.limits.output_bytes_high = 1000;
    setup.limits.pending_acks_max = 100'000;
    return setup;
}

void fill(broker& b, int qos) {
    auto& p = b.client("p").connect().expect("CONNACK 00");
    for (int i = 0; i < count; ++i) {
        p.publish("r/" + std::to_string(i % 7) + "/" + std::to_string(i), "old", qos, retain);
        p.take();
    }
}

/// Reads and acknowledges until nothing comes any more.
std::multiset<std::string> read_all(broker& b, client& c) {
    std::multiset<std::string> topics;
    for (std::string bytes; b.after_ms(0), !(bytes = c.take_bytes()).empty();) {
        const auto p = decode_one(bytes, proto::version::v5, false);
        if (!p || !std::holds_alternative<proto::publish>(*p)) continue;
        const auto& m = std::get<proto::publish>(*p);
        topics.insert(std::string(m.topic) + " " + std::string(m.payload) + (m.retain ? " retain" : ""));
        if (m.quality == proto::qos::at_least_once) c.puback(m.id);
    }
    return topics;
}

} // namespace

TEST_CASE("a new subscription gets all retained messages, however many and whatever the queues hold") {
    for (const int qos : {0, 1}) {
        CAPTURE(qos);
        broker b(small_queues());
        fill(b, qos);
        auto& c = b.client("c").connect().expect("CONNACK 00").stop_reading();
        c.subscribe("r/#", qos);
        CHECK(c.output_bytes() < 3000);
        c.start_reading();
        const auto got = read_all(b, c);
        CHECK(got.size() == count);
        CHECK(std::set(got.begin(), got.end()).size() == count);
        CHECK(b.total(&core::counters::dropped_slow_reader) == 0);
        CHECK(b.total(&core::counters::dropped_queue_full) == 0);
    }
}

TEST_CASE("what is published while retained messages are still being sent arrives once, and is the last of its topic") {
    broker b(small_queues());
    fill(b, 0);
    auto& c = b.client("c").connect().expect("CONNACK 00").stop_reading();
    c.subscribe("r/#", 0);
    b.client("p").publish("r/6/2799", "new", 0, retain).publish("r/0/0", "new", 0, retain);
    b.client("p").publish("r/5/2798", "", 0, retain);
    c.start_reading();
    const auto got = read_all(b, c);
    CHECK(got.count("r/6/2799 new") == 1);
    CHECK(got.count("r/6/2799 old retain") == 0);
    CHECK(got.count("r/6/2799 new retain") == 0);
    CHECK(got.count("r/0/0 new") == 1);
    CHECK(got.count("r/5/2798 ") == 1);
    CHECK(got.count("r/5/2798 old retain") == 0);
}

TEST_CASE("an old retained message never comes after the new one of its topic") {
    broker_setup setup = small_queues();
    setup.limits.backlog_messages_max = 2 * count;
    broker b(setup);
    fill(b, 0);
    auto& c = b.client("c").connect().expect("CONNACK 00").stop_reading();
    c.subscribe("r/#", 0);
    for (int i = 0; i < count; ++i) {
        b.client("p").publish("r/" + std::to_string(i % 7) + "/" + std::to_string(i), "new", 0, retain);
    }
    c.start_reading();
    std::map<std::string, std::string> last;
    for (std::string bytes; b.after_ms(0), !(bytes = c.take_bytes()).empty();) {
        const auto p = decode_one(bytes, proto::version::v5, false);
        if (!p || !std::holds_alternative<proto::publish>(*p)) continue;
        last[std::string(std::get<proto::publish>(*p).topic)] = std::get<proto::publish>(*p).payload;
    }
    CHECK(last.size() == count);
    CHECK(std::all_of(last.begin(), last.end(), [](const auto& x) { return x.second == "new"; }));
}

TEST_CASE("retained messages stop when the subscription does, and begin anew when it is made again") {
    broker b(small_queues());
    fill(b, 0);
    auto& c = b.client("c").connect().expect("CONNACK 00").stop_reading();
    c.subscribe("r/#", 0).unsubscribe({"r/#"}).start_reading();
    CHECK(read_all(b, c).size() < 200);
    c.stop_reading().subscribe("r/#", 0).subscribe("r/#", 0).start_reading();
    const auto got = read_all(b, c);
    CHECK(got.size() < count + 200);
    CHECK(std::set(got.begin(), got.end()).size() == count);
}

TEST_CASE("a session that is kept goes on with its retained messages when its client comes back") {
    broker b(small_queues());
    fill(b, 1);
    auto& c = b.client("c").resume().expect("CONNACK 00");
    c.subscribe("r/#", 1);
    auto got = read_all(b, c.cut().resume());
    CHECK(std::set(got.begin(), got.end()).size() == count);
    CHECK(b.store().row_count() == 0);
}

TEST_CASE("a filter that matches little of much does not hold up the others") {
    broker b(small_queues());
    fill(b, 0);
    b.client("p").publish("s/x", "found", 0, retain);
    auto& c = b.client("c").connect().expect("CONNACK 00");
    c.subscribe("+/x", 0);
    CHECK(read_all(b, c).count("s/x found retain") == 1);
}

TEST_CASE("v5[MQTT-3.8.4-8] v311[MQTT-3.8.4-6] a retained message comes with the lower of the two QoS") {
    for (const auto v : {proto::version::v3_1_1, proto::version::v5}) {
        broker b;
        auto& p = b.client("p").connect().expect("CONNACK 00");
        p.publish("a", "one", 1, retain).expect("PUBACK #1 10");
        auto& c = b.client("c", v).connect().expect("CONNACK 00");
        c.subscribe("a", 0).expect("PUBLISH a 'one' q0 retain").expect("SUBACK #1 00");
        c.subscribe("a", 2).expect("PUBLISH a 'one' q1 #1 retain").expect("SUBACK #2 02");
    }
}

TEST_CASE("v5[MQTT-3.8.3-3] a no-local subscription does not bring the client's own retained messages") {
    broker b;
    auto& c = b.client("c").connect().expect("CONNACK 00").publish("a", "own", 0, retain);
    b.client("p").connect().expect("CONNACK 00").publish("b", "other", 0, retain);
    proto::subscription_options no_local;
    no_local.no_local = true;
    c.subscribe("#", 0, no_local).expect("PUBLISH b 'other' q0 retain").expect("SUBACK #1 00").expect_nothing();
}

TEST_CASE("v5[MQTT-3.3.2-5] a retained message that expires while it waits for room does not come") {
    broker b;
    auto& p = b.client("p").connect().expect("CONNACK 00");
    p.publish("b", "window", 1, retain).expect("PUBACK #1 10");
    publish_options brief = retain;
    brief.expiry_s = 5;
    p.publish("a", "brief", 1, brief).expect("PUBACK #2 10");
    connect_options o;
    o.receive_maximum = 1;
    auto& c = b.client("c").connect(o).expect("CONNACK 00");
    c.subscribe("b", 1).expect("PUBLISH b 'window' q1 #1 retain").expect("SUBACK #1 01");
    c.subscribe("a", 1).expect("SUBACK #2 01");
    b.after(6);
    c.puback(1).expect_nothing();
}
