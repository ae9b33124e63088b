// The contract of session_store, run over every engine: load gives back exactly what was applied, and nothing that was
// taken away. A loaded store is written as text (stored_lines.hpp), and texts are compared.
#include "engines.hpp"
#include "tests/support/stored_lines.hpp"

using namespace fb::test;
using namespace fb::storage;

namespace {

message_record a_message(std::uint64_t id, std::string_view topic = "t", std::string_view payload = "p") {
    message_record m;
    m.id = id;
    m.topic = topic;
    m.payload = payload;
    return m;
}

put_session a_session(std::uint64_t number, const std::string& client_id) {
    put_session op;
    op.row.number = number;
    op.row.client_id = client_id;
    op.row.principal = "anna";
    return op;
}

enqueue queued(std::uint64_t session, std::uint64_t sequence, const message_record& m) {
    enqueue op;
    op.row.session = session;
    op.row.sequence = sequence;
    op.row.message = m.id;
    op.row.quality = 1;
    op.message = m;
    return op;
}

using lines = std::vector<std::string>;

template <class Engine>
struct session_world {
    Engine engine;
    std::unique_ptr<session_store> store = engine.open_sessions();

    void apply(const std::vector<session_operation>& ops) { REQUIRE(store->apply(ops)); }
    lines content() { return load(*store).lines; }
    session_counters counters() { return load(*store).counters; }
};

} // namespace

TEST_CASE_TEMPLATE("a fresh store is empty and counts from nothing", Engine, FB_SESSION_ENGINES) {
    session_world<Engine> w;
    CHECK(w.content().empty());
    CHECK(w.counters().session == 0);
    CHECK(w.counters().message == 0);
    CHECK(w.counters().retained_version == 0);
    REQUIRE(w.store->apply({}));
}

TEST_CASE_TEMPLATE("everything of a session comes back in order", Engine, FB_SESSION_ENGINES) {
    session_world<Engine> w;
    put_session first = a_session(1, "pump");
    first.row.protocol = 4;
    first.row.expiry_s = 3600;
    first.row.ended_at = 1'790'000'000'000;
    first.row.will = a_message(10, "will/topic", "gone");
    first.row.will->quality = 1;
    first.row.will_retain = true;
    first.row.will_delay_s = 30;
    const std::string binary("a\0b\xff", 4);
    message_record rich = a_message(11, "a/b", binary);
    rich.properties = binary;
    rich.quality = 2;
    rich.expires_at = 99;
    rich.publisher = 77;
    enqueue second_in_queue = queued(1, 8, rich);
    second_in_queue.row.retain = true;
    second_in_queue.row.packet_id = 65535;
    second_in_queue.row.state = delivery_state::received;
    second_in_queue.row.subscription_ids = {1, 268'435'455};
    w.apply({first, a_session(2, "press"), put_subscription{{1, "b/#", 0x2a, 5}}, put_subscription{{1, "a/+", 1, 0}},
             second_in_queue, queued(1, 7, a_message(12)), put_received{1, 300}, put_received{1, 7},
             put_retained{5, "r/1", a_message(13, "r/1", "now")}});
    const lines expected{
        "session 1 pump anna v4 3600 1790000000000 will 10 will/topic=gone/ q1 x0 by 0 retained 30",
        "session 2 press anna v5 0 0",
        "sub 1 a/+ 1 0",
        "sub 1 b/# 42 5",
        "queue 1 7 q1 id 0 state 0 subs: 12 t=p/ q0 x0 by 0",
        "queue 1 8 q1 retain id 65535 state 2 subs 1 268435455: 11 a/b=" + binary + '/' + binary + " q2 x99 by 77",
        "received 1 7",
        "received 1 300",
        "retained 5 13 r/1=now/ q0 x0 by 0",
    };
    CHECK(w.content() == expected);
    CHECK(w.counters().session == 2);
    CHECK(w.counters().message == 13);
    CHECK(w.counters().retained_version == 5);
}

TEST_CASE_TEMPLATE("putting a session again replaces its row and leaves what belongs to it", Engine,
                   FB_SESSION_ENGINES) {
    session_world<Engine> w;
    put_session s = a_session(1, "pump");
    s.row.will = a_message(9, "w");
    w.apply({s, put_subscription{{1, "a", 0, 0}}, queued(1, 1, a_message(3))});
    s.row.ended_at = 5;
    s.row.will.reset();
    w.apply({s});
    CHECK(w.content() ==
          lines{"session 1 pump anna v5 0 5", "sub 1 a 0 0", "queue 1 1 q1 id 0 state 0 subs: 3 t=p/ q0 x0 by 0"});
    CHECK(w.counters().message == 3); // the will is not kept for nobody
}

TEST_CASE_TEMPLATE("a new session of a client id takes the older one with everything away", Engine,
                   FB_SESSION_ENGINES) {
    session_world<Engine> w;
    w.apply({a_session(1, "pump"), put_subscription{{1, "a", 0, 0}}, queued(1, 1, a_message(3)), put_received{1, 1}});
    w.apply({a_session(2, "pump")});
    CHECK(w.content() == lines{"session 2 pump anna v5 0 0"});
    CHECK(w.counters().message == 0);
}

TEST_CASE_TEMPLATE("a deleted session goes with everything, its neighbours stay", Engine, FB_SESSION_ENGINES) {
    session_world<Engine> w;
    put_session s = a_session(1, "pump");
    s.row.will = a_message(9, "w");
    w.apply({s, put_subscription{{1, "a", 0, 0}}, queued(1, 1, a_message(3)), put_received{1, 1}});
    w.apply({a_session(2, "press"), put_subscription{{2, "a", 0, 0}}, queued(2, 1, a_message(3))});
    w.apply({delete_session{1}, delete_session{77}});
    CHECK(w.content() ==
          lines{"session 2 press anna v5 0 0", "sub 2 a 0 0", "queue 2 1 q1 id 0 state 0 subs: 3 t=p/ q0 x0 by 0"});
    w.apply({delete_session{2}});
    CHECK(w.content().empty());
    CHECK(w.counters().message == 0);
}

TEST_CASE_TEMPLATE("subscriptions are replaced by filter and deleted one by one", Engine, FB_SESSION_ENGINES) {
    session_world<Engine> w;
    w.apply({a_session(1, "pump"), put_subscription{{1, "a", 0, 0}}, put_subscription{{1, "b", 0, 0}},
             put_subscription{{1, "a", 2, 7}}, delete_subscription{1, "b"}, delete_subscription{1, "c"}});
    CHECK(w.content() == lines{"session 1 pump anna v5 0 0", "sub 1 a 2 7"});
}

TEST_CASE_TEMPLATE("a delivery keeps its packet id and state, and leaves the queue when it is done", Engine,
                   FB_SESSION_ENGINES) {
    session_world<Engine> w;
    w.apply({a_session(1, "pump"), queued(1, 1, a_message(3)), queued(1, 2, a_message(4))});
    w.apply({set_delivery{1, 1, 17, delivery_state::sent}, set_delivery{1, 9, 1, delivery_state::sent}, dequeue{1, 2},
             dequeue{1, 9}, dequeue{5, 1}});
    CHECK(w.content() == lines{"session 1 pump anna v5 0 0", "queue 1 1 q1 id 17 state 1 subs: 3 t=p/ q0 x0 by 0"});
    CHECK(w.counters().message == 3);
}

TEST_CASE_TEMPLATE("received QoS 2 ids are a set", Engine, FB_SESSION_ENGINES) {
    session_world<Engine> w;
    w.apply({a_session(1, "pump"), put_received{1, 5}, put_received{1, 5}, put_received{1, 6}, delete_received{1, 5},
             delete_received{1, 9}});
    CHECK(w.content() == lines{"session 1 pump anna v5 0 0", "received 1 6"});
}

TEST_CASE_TEMPLATE("a message lives as long as somebody refers to it, and can come again", Engine, FB_SESSION_ENGINES) {
    session_world<Engine> w;
    const message_record m = a_message(42, "t", "shared");
    w.apply({a_session(1, "a"), a_session(2, "b"), queued(1, 1, m), queued(2, 1, m), put_retained{1, "t", m}});
    w.apply({dequeue{1, 1}});
    CHECK(w.counters().message == 42);
    w.apply({put_retained{2, "t", a_message(0)}});
    CHECK(w.counters().message == 42);
    CHECK(w.content().back() == "queue 2 1 q1 id 0 state 0 subs: 42 t=shared/ q0 x0 by 0");
    w.apply({dequeue{2, 1}});
    CHECK(w.counters().message == 0);
    w.apply({queued(1, 5, m), dequeue{1, 5}, queued(2, 5, m)}); // let go and taken up within one batch
    CHECK(w.counters().message == 42);
    put_session with_will = a_session(1, "a");
    with_will.row.will = m;
    w.apply({with_will, dequeue{2, 5}});
    CHECK(w.counters().message == 42);
    w.apply({delete_session{1}});
    CHECK(w.counters().message == 0);
}

TEST_CASE_TEMPLATE("of two writers of a retained topic the higher version wins, whichever comes first", Engine,
                   FB_SESSION_ENGINES) {
    session_world<Engine> w;
    w.apply({put_retained{7, "t", a_message(1, "t", "seven")}, put_retained{6, "t", a_message(2, "t", "six")}});
    CHECK(w.content() == lines{"retained 7 1 t=seven/ q0 x0 by 0"});
    w.apply({put_retained{8, "t", a_message(3, "t", "eight")}});
    CHECK(w.content() == lines{"retained 8 3 t=eight/ q0 x0 by 0"});
    CHECK(w.counters().message == 3);
}

TEST_CASE_TEMPLATE("a write older than the clearing of its topic is ignored", Engine, FB_SESSION_ENGINES) {
    session_world<Engine> w;
    w.apply({put_retained{8, "t", a_message(0)}});
    w.apply({put_retained{7, "t", a_message(1, "t", "late")}});
    const loaded got = load(*w.store);
    CHECK(got.lines.empty());
    CHECK(got.counters.retained_version == 8);
}

TEST_CASE_TEMPLATE("a start in two parts gives what one in one part gives", Engine, FB_SESSION_ENGINES) {
    session_world<Engine> w;
    put_session with_will = a_session(2, "b");
    with_will.row.will = a_message(9, "w", "gone");
    w.apply({a_session(1, "a"), with_will, put_subscription{{1, "f", 1, 0}}, put_received{2, 7},
             queued(1, 1, a_message(1)), queued(1, 2, a_message(2)), queued(2, 5, a_message(2)), a_session(3, "c")});
    w.apply({set_delivery{1, 1, 4, delivery_state::sent}, put_retained{3, "r", a_message(3, "r")},
             put_retained{4, "s", {}}});
    const auto whole = load(*w.store);
    const auto part = load_first_part(*w.store);
    CHECK(part.all.counters.session == whole.counters.session);
    CHECK(part.all.counters.message == whole.counters.message);
    CHECK(part.waiting.size() == 2);
    CHECK(with_queues(*w.store, part) == sorted(whole.lines));
    REQUIRE(w.store->end_loading());
    CHECK(w.content() == whole.lines);
}
