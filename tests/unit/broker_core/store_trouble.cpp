// While the state store fails and too much waits for it: who is refused and how, who goes on, and what the store hears
// of when it writes again.
#include <doctest/doctest.h>

#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;
using core::close_cause;
using core::durability;

namespace {

/// Its queue keeps what is published to "strict/#", of QoS 1, and "loose/#".
client& sleeper(broker& b) {
    return b.client("sleeper")
        .resume()
        .expect("CONNACK 00")
        .subscribe("strict/#", 1)
        .expect("SUBACK #1 01")
        .subscribe("loose/#", 1)
        .expect("SUBACK #2 01");
}

broker_setup loose(durability kept) {
    broker_setup setup;
    setup.durability_rules = {{"loose/#", kept}};
    return setup;
}

/// The disk fails: nothing is committed from here on.
void fail(broker& b) {
    b.hold_commits();
    b.refuse_to_store(true);
}

void recover(broker& b) {
    b.refuse_to_store(false);
    b.release_commits();
}

} // namespace

TEST_CASE("a publication that would have to be stored ends the connection with a reason, and is sent again later") {
    for (const auto& [topic, qos, keep] :
         {std::tuple("strict/1", 1, false), {"strict/1", 2, false}, {"other", 1, true}}) {
        broker b(loose(durability::none));
        sleeper(b).cut();
        auto& p = b.client("p").resume().expect("CONNACK 00");
        fail(b);
        const publish_options options{.retain = keep, .dup = false, .expiry_s = {}, .alias = 0, .id = 7};
        p.publish(topic, "x", qos, options).expect("DISCONNECT 97").expect_closed(close_cause::store_refuses);
        CHECK(b.uncommitted() == 0);
        CHECK(b.total(&core::counters::store_refusals) == 1);
        p.resume().expect("CONNACK 00 present");
        recover(b);
        p.publish(topic, "x", qos, options);
        const auto answer = p.take();
        REQUIRE(answer.size() == 1);
        CHECK(answer.front().starts_with(qos == 1 ? "PUBACK #7" : "PUBREC #7"));
    }
}

TEST_CASE("a client of MQTT 3.1.1 is closed, and a new session of it refused as unavailable") {
    broker b;
    sleeper(b).cut();
    auto& p = b.client_v311("p").connect().expect("CONNACK 00");
    fail(b);
    p.publish("strict/1", "x", 1).expect_nothing().expect_closed(close_cause::store_refuses);
    auto& newcomer = b.client_v311("new").resume();
    CHECK(newcomer.take_bytes() == std::string("\x20\x02\x00\x03", 4));
    newcomer.expect_closed(close_cause::store_refuses);
}

TEST_CASE("QoS 2 of a session that is stored would have to be stored; of one that is not it goes on") {
    broker b;
    auto& kept = b.client("kept").resume().expect("CONNACK 00");
    auto& clean = b.client("clean").connect().expect("CONNACK 00");
    fail(b);
    clean.publish("nobody", "x", 2).expect("PUBREC #1 10").pubrel(1).expect("PUBCOMP #1");
    kept.publish("nobody", "x", 2).expect("DISCONNECT 97");
}

TEST_CASE("what nobody has to store goes on, to sessions that are stored, too") {
    for (const durability kept : {durability::none, durability::batched}) {
        broker b(loose(kept));
        auto& s = sleeper(b);
        auto& p = b.client("p").resume().expect("CONNACK 00");
        fail(b);
        p.publish("strict/1", "0");
        s.expect("PUBLISH strict/1 '0' q0");
        p.publish("loose/1", "1", 1).expect("PUBACK #1");
        s.expect("PUBLISH loose/1 '1' q1 #1").puback(1);
        p.publish("loose/1", "2", 2).expect("PUBREC #2").pubrel(2).expect("PUBCOMP #2");
        s.expect("PUBLISH loose/1 '2' q1 #2").puback(2);
        p.publish("loose/1", "kept", 1, retain).expect("PUBACK #3");
        s.expect("PUBLISH loose/1 'kept' q1 #3").puback(3);
        auto& clean = b.client("clean").connect().expect("CONNACK 00");
        clean.subscribe("loose/1", 1).expect("PUBLISH loose/1 'kept' q1 #1 retain").expect("SUBACK #1 01");
        clean.unsubscribe({"loose/1"}).expect("UNSUBACK #2 00");
        CHECK(b.uncommitted() == 0);
        s.cut();
        p.publish("loose/1", "away", 1).expect("PUBACK #4");
        s.resume().expect("CONNACK 00 present").expect("PUBLISH loose/1 'away' q1 #1");
    }
}

TEST_CASE("subscriptions of a session that is stored, a new one, and a clean start over it are refused") {
    broker b;
    auto& s = sleeper(b);
    fail(b);
    b.client("new").resume().expect("CONNACK 88").expect_closed(close_cause::store_refuses);
    s.subscribe("x").expect("DISCONNECT 97").resume().expect("CONNACK 00 present");
    s.unsubscribe({"strict/#"}).expect("DISCONNECT 97");
    s.connect().expect("CONNACK 88");
    s.resume().expect("CONNACK 00 present"); // as it was
    recover(b);
    s.unsubscribe({"strict/#"}).expect("UNSUBACK #1 00");
    b.client("new").resume().expect("CONNACK 00");
    CHECK(b.counts->connections.load() == 2);
}

TEST_CASE("however often they come and go, the store hears of sessions once") {
    broker b;
    auto& s = sleeper(b);
    fail(b);
    for (int i = 0; i < 100; ++i) s.cut().resume(100 + static_cast<std::uint32_t>(i)).expect("CONNACK 00 present");
    CHECK(b.uncommitted() == 0);
    s.cut();
    b.refuse_to_store(false);
    CHECK(b.uncommitted() == 1);
    b.release_commits();
    REQUIRE(b.store().session_count() == 1);
    CHECK(b.store().sessions().front().expiry_s == 199);
    CHECK(b.store().sessions().front().ended_unix_ms != 0);
}

TEST_CASE("what is acknowledged meanwhile is forgotten by the store afterwards, in portions") {
    broker_setup setup;
    setup.limits.queued_messages_max = 20'000;
    broker b(setup);
    auto& s = sleeper(b).cut();
    auto& p = b.client("p").connect().expect("CONNACK 00");
    for (int i = 0; i < 10'000; ++i) p.publish("strict/1", "x", 1);
    CHECK(p.take().size() == 10'000);
    CHECK(b.store().row_count() == 10'000);
    fail(b);
    s.resume().expect("CONNACK 00 present");
    for (auto got = s.take(); !got.empty(); got = s.take()) {
        for (const std::string& line : got)
            s.puback(static_cast<proto::packet_id>(std::stoi(line.substr(line.rfind('#') + 1))));
    }
    CHECK(b.uncommitted() == 0);
    CHECK(b.store().row_count() == 10'000);
    b.refuse_to_store(false);
    b.commit_oldest();
    CHECK(b.store().row_count() > 0);
    b.release_commits();
    CHECK(b.store().row_count() == 0);
}

TEST_CASE("a stop hands over what was put off, should the store be able to take it") {
    broker b;
    auto& s = sleeper(b);
    auto& p = b.client("p").connect().expect("CONNACK 00");
    p.publish("strict/1", "x", 1).expect("PUBACK #1");
    s.expect("PUBLISH strict/1 'x' q1 #1");
    fail(b);
    s.puback(1);
    b.stop();
    b.release_commits();
    CHECK(b.store().row_count() == 0);
    CHECK(b.store().sessions().front().ended_unix_ms != 0);
}

TEST_CASE("a session that ends meanwhile is gone from the store afterwards") {
    broker b;
    auto& s = sleeper(b);
    auto& gives_up = b.client("gives up").resume().expect("CONNACK 00").subscribe("strict/#", 1).expect("SUBACK #1 01");
    auto& p = b.client("p").connect().expect("CONNACK 00").publish("strict/1", "x", 1).expect("PUBACK #1");
    s.take();
    gives_up.take();
    fail(b);
    s.disconnect({}, 0);
    gives_up.cut();
    b.after(3601);
    CHECK(b.uncommitted() == 0);
    recover(b);
    CHECK(b.store().session_count() == 0);
    CHECK(b.store().row_count() == 0);
    p.publish("strict/1", "x", 1).expect("PUBACK #2 10");
}

TEST_CASE("of a retained topic the store hears the last word, and a crash before that leaves what was acknowledged") {
    broker b;
    auto& p = b.client("p").connect().expect("CONNACK 00");
    p.publish("a", "acknowledged", 1, retain).expect("PUBACK #1 10").publish("b", "acknowledged", 1, retain);
    p.expect("PUBACK #2 10");
    fail(b);
    for (int i = 0; i < 100; ++i) p.publish("a", std::to_string(i), 0, retain);
    p.publish("b", "", 0, retain);
    CHECK(b.uncommitted() == 0);
    std::string left = "99";
    SUBCASE("the store comes back") { recover(b); }
    SUBCASE("power is lost before") { left = "acknowledged"; }
    b.restart();
    auto& r = b.client("r").connect().expect("CONNACK 00").subscribe("a", 0);
    r.expect("PUBLISH a '" + left + "' q0 retain").expect("SUBACK #1 00");
    CHECK(b.retained->message_count() == (left == "99" ? 1 : 2));
}

TEST_CASE("more retained topics than may wait for the store are kept in memory and told to nobody") {
    broker b;
    auto& p = b.client("p").connect().expect("CONNACK 00");
    fail(b);
    const std::string payload(1 << 20, 'x');
    for (int i = 0; i < 20; ++i) p.publish("a/" + std::to_string(i), payload, 0, retain);
    CHECK(b.retained->message_count() == 20);
    b.refuse_to_store(false);
    b.release_commits();
    b.restart();
    CHECK(b.retained->message_count() == core::put_off::retained_bytes_max / (payload.size() + 128));
}

TEST_CASE("wills go out, and nothing waits for the store because of them") {
    broker b;
    auto& s = sleeper(b);
    connect_options o;
    o.will = proto::will{};
    o.will->topic = "strict/1";
    o.will->payload = "gone";
    o.will->quality = proto::qos::at_least_once;
    auto& p = b.client("p");
    fail(b);
    for (int i = 1; i < 10; ++i) {
        p.connect(o).expect("CONNACK 00").cut();
        s.expect("PUBLISH strict/1 'gone' q1 #" + std::to_string(i)).puback(static_cast<proto::packet_id>(i));
    }
    CHECK(b.uncommitted() == 0);
}

TEST_CASE("an unsent message of a shared subscription stays with its member: its row could not go along") {
    broker_setup setup;
    setup.limits.inflight_max = 1;
    broker b(setup);
    auto& one = b.client("one").resume().expect("CONNACK 00").subscribe("$share/g/a", 1).expect("SUBACK #1 01");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    p.publish("a", "1", 1).expect("PUBACK #1").publish("a", "2", 1).expect("PUBACK #2");
    one.expect("PUBLISH a '1' q1 #1");
    auto& two = b.client("two").resume().expect("CONNACK 00").subscribe("$share/g/a", 1).expect("SUBACK #1 01");
    fail(b);
    one.cut();
    two.expect_nothing();
    CHECK(b.uncommitted() == 0);
    recover(b);
    b.restart();
    one.resume().expect("CONNACK 00 present").expect("PUBLISH a '1' q1 #1 dup").puback(1).expect("PUBLISH a '2' q1 #2");
}

TEST_CASE("it begins on all shards, and refuses what a session on another one would have to keep") {
    broker_setup setup;
    setup.shards = 4;
    broker b(setup);
    b.client(living_on(1, "s")).resume().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01").cut();
    auto& p = b.client(living_on(2, "p")).connect().expect("CONNACK 00");
    fail(b);
    p.publish("a", "0").publish("a", "1", 1).expect("DISCONNECT 97");
    CHECK(b.uncommitted() == 0);
}
