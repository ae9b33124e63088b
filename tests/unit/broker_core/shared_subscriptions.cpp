// Shared subscriptions. Method: transcripts over one and four shards; what a group got is gathered over its members.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;
using proto::reason_code;

namespace {

broker_setup on_shards(core::shard_id shards) {
    broker_setup setup;
    setup.shards = shards;
    return setup;
}

/// PUBLISH lines of what came, in order.
std::vector<std::string> publications(client& c) {
    auto lines = c.take();
    std::erase_if(lines, [](const std::string& line) { return !line.starts_with("PUBLISH"); });
    return lines;
}

} // namespace

TEST_CASE("each message goes to one member of a shared subscription, in turn") {
    for (const core::shard_id shards : {core::shard_id{1}, core::shard_id{4}}) {
        CAPTURE(shards);
        broker b(on_shards(shards));
        std::vector<client*> members;
        for (core::shard_id i = 0; i < 3; ++i) {
            members.push_back(&b.client(living_on(i, "m")));
            members.back()->connect().expect("CONNACK 00").subscribe("$share/g/jobs/+", 1).expect("SUBACK #1 01");
        }
        auto& p = b.client(living_on(3, "p")).connect().expect("CONNACK 00");
        for (int i = 0; i < 9; ++i) p.publish("jobs/" + std::to_string(i), "x", 0);
        std::set<std::string> seen;
        for (client* m : members) {
            const auto got = publications(*m);
            CHECK(got.size() == 3);
            seen.insert(got.begin(), got.end());
        }
        CHECK(seen.size() == 9);
    }
}

TEST_CASE("v5[MQTT-3.3.4-5] groups and plain subscriptions are independent of each other") {
    broker b;
    auto& c = b.client("c").connect().expect("CONNACK 00");
    c.subscribe("$share/g/a", 1, {}, 7).expect("SUBACK #1 01");
    c.subscribe("$share/h/a", 0, {}, 8).expect("SUBACK #2 00");
    c.subscribe("a", 2, {}, 9).expect("SUBACK #3 02");
    b.client("p").connect().expect("CONNACK 00").publish("a", "x", 1).expect("PUBACK #1");
    auto got = publications(c);
    std::sort(got.begin(), got.end());
    CHECK(got == std::vector<std::string>{"PUBLISH a 'x' q0 subs=8", "PUBLISH a 'x' q1 #1 subs=9",
                                          "PUBLISH a 'x' q1 #2 subs=7"});
    c.unsubscribe({"a"}).expect("UNSUBACK #4 00");
    b.client("p").publish("a", "y", 0);
    CHECK(publications(c).size() == 2);
    c.unsubscribe({"$share/g/b", "$share/h/a", "$share/g/a"}).expect("UNSUBACK #5 11 00 00");
    b.client("p").publish("a", "z", 1).expect("PUBACK #2 10");
    CHECK(b.index->subscription_count() == 0);
    CHECK(b.index->node_count() == 0);
}

TEST_CASE("a shared subscription gets no retained messages when it begins, but the retain flag as it asks for it") {
    broker b;
    b.client("p").connect().expect("CONNACK 00").publish("a", "old", 0, retain);
    auto& c = b.client("c").connect().expect("CONNACK 00");
    proto::subscription_options as_published;
    as_published.retain_as_published = true;
    c.subscribe("$share/g/a", 0, as_published).expect("SUBACK #1 00").expect_nothing();
    b.client("p").publish("a", "new", 0, retain);
    c.expect("PUBLISH a 'new' q0 retain").expect_nothing();
}

TEST_CASE("v5[MQTT-4.8.2-3] each member gets at most the QoS it was granted") {
    broker b;
    auto& zero = b.client("zero").connect().expect("CONNACK 00").subscribe("$share/g/a", 0).expect("SUBACK #1 00");
    auto& one = b.client("one").connect().expect("CONNACK 00").subscribe("$share/g/a", 1).expect("SUBACK #1 01");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    p.publish("a", "x", 2).expect("PUBREC #1").pubrel(1).expect("PUBCOMP #1");
    p.publish("a", "y", 2).expect("PUBREC #2").pubrel(2).expect("PUBCOMP #2");
    const auto a = publications(zero), c = publications(one);
    REQUIRE(a.size() == 1);
    REQUIRE(c.size() == 1);
    CHECK(a[0].find(" q0") != std::string::npos);
    CHECK(c[0].find(" q1 ") != std::string::npos);
}

TEST_CASE("a member who is away is passed over while another is connected, and keeps messages when nobody is") {
    for (const core::shard_id shards : {core::shard_id{1}, core::shard_id{4}}) {
        CAPTURE(shards);
        broker b(on_shards(shards));
        auto& away = b.client(living_on(1, "m")).resume().expect("CONNACK 00");
        away.subscribe("$share/g/a", 1).expect("SUBACK #1 01").cut();
        auto& here = b.client(living_on(2, "m")).connect().expect("CONNACK 00");
        here.subscribe("$share/g/a", 1).expect("SUBACK #1 01");
        auto& p = b.client(living_on(3, "p")).connect().expect("CONNACK 00");
        for (int i = 1; i <= 4; ++i) p.publish("a", "x", 1).expect("PUBACK #" + std::to_string(i));
        CHECK(publications(here).size() == 4);
        here.disconnect();
        p.publish("a", "kept", 1).expect("PUBACK #5").publish("a", "lost", 0);
        auto got = publications(away.resume());
        // The four that were sent and not acknowledged come too: their session ended.
        REQUIRE(got.size() == 5);
        CHECK(std::count_if(got.begin(), got.end(),
                            [](const std::string& x) { return x.find("'kept'") != std::string::npos; }) == 1);
        CHECK(b.total(&core::counters::dropped_no_member) == 1);
    }
}

TEST_CASE("a strict acknowledgement waits until a member on another shard has the message stored") {
    broker b(on_shards(4));
    b.client(living_on(1, "m")).resume().expect("CONNACK 00").subscribe("$share/g/a", 1).expect("SUBACK #1 01").cut();
    auto& p = b.client(living_on(0, "p")).connect().expect("CONNACK 00");
    b.hold_crossings();
    p.publish("a", "x", 1).expect_nothing();
    b.hold_commits();
    b.cross_one(1);
    p.expect_nothing();
    b.commit();
    b.release_crossings();
    p.expect("PUBACK #1");
    b.release_commits();
    b.restart();
    CHECK(publications(b.client(living_on(1, "m")).resume()).size() == 1);
}

TEST_CASE(
    "a member that is gone when the message arrives passes it to the next, and the publisher waits for that one") {
    broker b(on_shards(4));
    auto& gone = b.client(living_on(1, "m")).connect().expect("CONNACK 00");
    gone.subscribe("$share/g/a", 1).expect("SUBACK #1 01");
    b.client(living_on(2, "m")).resume().expect("CONNACK 00").subscribe("$share/g/a", 1).expect("SUBACK #1 01").cut();
    auto& p = b.client(living_on(0, "p")).connect().expect("CONNACK 00");
    b.hold_crossings();
    p.publish("a", "x", 1).expect_nothing();
    gone.cut();
    b.cross_one(1);
    p.expect_nothing();
    b.cross_one(2);
    b.release_crossings();
    p.expect("PUBACK #1");
    CHECK(publications(b.client(living_on(2, "m")).resume()) == std::vector<std::string>{"PUBLISH a 'x' q1 #1"});
}

TEST_CASE("a member that does not read gets no more while another does") {
    broker_setup setup;
    setup.limits.inflight_max = 2;
    broker b(setup);
    auto& slow = b.client("slow").connect().expect("CONNACK 00").subscribe("$share/g/a", 1).expect("SUBACK #1 01");
    auto& fast = b.client("fast").connect().expect("CONNACK 00").subscribe("$share/g/a", 1).expect("SUBACK #1 01");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    int fast_got = 0;
    for (int i = 1; i <= 20; ++i) {
        p.publish("a", std::to_string(i), 1).expect("PUBACK #" + std::to_string(i));
        for ([[maybe_unused]] const auto& line : publications(fast))
            fast.puback(static_cast<proto::packet_id>(++fast_got));
    }
    // Two in its window and one that waits: from then on it is behind.
    CHECK(publications(slow).size() == 2);
    CHECK(fast_got == 17);
}

TEST_CASE("what waited for a member that goes away is handed to those who are connected") {
    for (const core::shard_id shards : {core::shard_id{1}, core::shard_id{4}}) {
        CAPTURE(shards);
        broker_setup setup = on_shards(shards);
        setup.limits.inflight_max = 1;
        broker b(setup);
        auto& first = b.client(living_on(1, "m")).resume().expect("CONNACK 00");
        first.subscribe("$share/g/a", 1).expect("SUBACK #1 01");
        auto& p = b.client(living_on(0, "p")).connect().expect("CONNACK 00");
        for (int i = 1; i <= 5; ++i) p.publish("a", std::to_string(i), 1).expect("PUBACK #" + std::to_string(i));
        first.expect("PUBLISH a '1' q1 #1");
        auto& second = b.client(living_on(2, "m")).resume().expect("CONNACK 00");
        second.subscribe("$share/g/a", 1).expect("SUBACK #1 01");
        first.cut();
        int got = 0;
        for (std::vector<std::string> lines = publications(second); !lines.empty(); lines = publications(second)) {
            second.puback(static_cast<proto::packet_id>(++got));
        }
        CHECK(got == 4);
        first.resume().expect("CONNACK 00 present").expect("PUBLISH a '1' q1 #1 dup").expect_nothing();
        first.puback(1);
        CHECK(b.store().row_count() == 0);
    }
}

TEST_CASE("v5[MQTT-4.8.2-4] QoS 2 in flight to a member is completed with that member when it comes back") {
    broker b;
    auto& first = b.client("first").resume().expect("CONNACK 00").subscribe("$share/g/a", 2).expect("SUBACK #1 02");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    p.publish("a", "x", 2).expect("PUBREC #1").pubrel(1).expect("PUBCOMP #1");
    p.publish("a", "y", 2).expect("PUBREC #2").pubrel(2).expect("PUBCOMP #2");
    auto& second = b.client("second").connect().expect("CONNACK 00");
    second.subscribe("$share/g/a", 2).expect("SUBACK #1 02");
    first.expect("PUBLISH a 'x' q2 #1").expect("PUBLISH a 'y' q2 #2").cut();
    second.expect_nothing();
    connect_options narrow; // 'y' waits in the queue, and has been sent all the same
    narrow.clean = false;
    narrow.expiry_s = 3600;
    narrow.receive_maximum = 1;
    first.connect(narrow).expect("CONNACK 00 present").expect("PUBLISH a 'x' q2 #1 dup").expect_nothing().cut();
    second.expect_nothing();
    first.connect(narrow).expect("CONNACK 00 present").expect("PUBLISH a 'x' q2 #1 dup");
    first.pubrec(1).expect("PUBREL #1").pubcomp(1).expect("PUBLISH a 'y' q2 #2 dup");
    first.pubrec(2).expect("PUBREL #2").pubcomp(2);
    second.expect_nothing();
}

TEST_CASE("v5[MQTT-4.8.2-5] QoS 2 in flight to a member whose session ends goes to nobody else") {
    broker b;
    auto& first = b.client("first").resume(10).expect("CONNACK 00").subscribe("$share/g/a", 2).expect("SUBACK #1 02");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    p.publish("a", "x", 2).expect("PUBREC #1").pubrel(1).expect("PUBCOMP #1");
    auto& second = b.client("second").connect().expect("CONNACK 00");
    second.subscribe("$share/g/a", 2).expect("SUBACK #1 02");
    first.expect("PUBLISH a 'x' q2 #1").cut();
    b.after(11);
    CHECK(b.session_count() == 2);
    second.expect_nothing();
}

TEST_CASE("QoS 1 in flight to a member whose session ends goes to another") {
    broker b;
    auto& first = b.client("first").resume(10).expect("CONNACK 00").subscribe("$share/g/a", 1).expect("SUBACK #1 01");
    b.client("p").connect().expect("CONNACK 00").publish("a", "x", 1).expect("PUBACK #1");
    auto& second = b.client("second").connect().expect("CONNACK 00");
    second.subscribe("$share/g/a", 1).expect("SUBACK #1 01");
    first.expect("PUBLISH a 'x' q1 #1").cut();
    second.expect_nothing();
    b.after(11);
    second.expect("PUBLISH a 'x' q1 #1").expect_nothing();
}

TEST_CASE("v5[MQTT-4.8.2-6] what a member refuses goes to nobody else") {
    broker b;
    auto& first = b.client("first").connect().expect("CONNACK 00").subscribe("$share/g/a", 2).expect("SUBACK #1 02");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    p.publish("a", "x", 1).expect("PUBACK #1");
    p.publish("a", "y", 2).expect("PUBREC #2").pubrel(2).expect("PUBCOMP #2");
    auto& second = b.client("second").connect().expect("CONNACK 00");
    second.subscribe("$share/g/a", 2).expect("SUBACK #1 02");
    first.expect("PUBLISH a 'x' q1 #1").expect("PUBLISH a 'y' q2 #2");
    first.puback(1, reason_code::implementation_specific_error).pubrec(2, reason_code::unspecified_error);
    first.expect_nothing().cut();
    second.expect_nothing();
}

TEST_CASE("a device may share what it may subscribe to, and nothing else") {
    broker b;
    auto& d = b.client("dev1").device("dev1").connect().expect("CONNACK 00");
    d.subscribe("$share/g/device/dev1/#", 1).expect("SUBACK #1 01");
    d.subscribe("$share/g/device/dev2/#", 1).expect("SUBACK #2 87");
}

TEST_CASE("3.1.1 clients may share, too") {
    broker b;
    auto& old = b.client_v311("old").connect().expect("CONNACK 00").subscribe("$share/g/a", 1).expect("SUBACK #1 01");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    p.publish("a", "x", 1).expect("PUBACK #1");
    old.expect("PUBLISH a 'x' q1 #1").expect_nothing();
}

TEST_CASE("members come and go at every step and nothing is left behind") {
    fail_at_every_step(on_shards(4), [](broker& b) {
        auto& one = b.client(living_on(1, "m")).resume().expect("CONNACK 00");
        one.subscribe("$share/g/a/#", 2).expect("SUBACK #1 02");
        auto& two = b.client(living_on(2, "m")).resume().expect("CONNACK 00");
        two.subscribe("$share/g/a/#", 1).expect("SUBACK #1 01");
        auto& p = b.client(living_on(3, "p")).resume().expect("CONNACK 00");
        p.publish("a/1", "x", 2).expect("PUBREC #1").pubrel(1).expect("PUBCOMP #1");
        p.publish("a/2", "y", 1).expect("PUBACK #2");
        p.publish("a/3", "z", 0);
        for (test::client* m : {&one, &two}) m->take();
        one.unsubscribe({"$share/g/a/#"}).expect("UNSUBACK #2 00");
        p.publish("a/4", "w", 1).expect("PUBACK #3");
    });
}
