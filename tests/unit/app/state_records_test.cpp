// Every operation an engine can ask for, through a store and back.
#include <doctest/doctest.h>

#include "broker/app/state_records.hpp"
#include "storage/open.hpp"

using namespace fb;
using namespace fb::core;

namespace {

const instant written_at{5'000, 1'800'000'000'000};
const instant read_at{900, 1'800'000'060'000}; // after a restart, a minute later

struct everything {
    std::vector<storage::session_record> sessions;
    std::vector<storage::subscription_record> subscriptions;
    std::vector<delivery> queue;
    std::vector<std::uint16_t> received;
    std::vector<message_ptr> retained;
};

class kept {
  public:
    void apply(const std::vector<persist_operation>& operations, const instant& now = written_at) {
        std::vector<storage::session_operation> out;
        for (const auto& op : operations) out.push_back(app::to_storage(op, now));
        REQUIRE(store_->apply(out));
    }
    everything load() {
        everything e;
        storage::session_loader l;
        l.on_session = [&](storage::session_record s) { e.sessions.push_back(std::move(s)); };
        l.on_subscription = [&](storage::subscription_record s) { e.subscriptions.push_back(std::move(s)); };
        l.on_queued = [&](storage::queue_record q, const storage::message_record& m) {
            e.queue.push_back(app::to_delivery(q, app::to_message(m, q.retain, read_at)));
        };
        l.on_received = [&](std::uint64_t, std::uint16_t id) { e.received.push_back(id); };
        l.on_retained = [&](std::uint64_t, const storage::message_record& m) {
            e.retained.push_back(app::to_message(m, true, read_at));
        };
        REQUIRE(store_->load(l));
        return e;
    }

  private:
    std::unique_ptr<storage::session_store> store_ = storage::make_memory_session_store();
};

message_ptr a_message(std::int64_t expires_mono_ms = never, std::uint64_t id = 5) {
    message_parts p;
    p.topic = "a/b";
    p.properties = "\x01\x01";
    p.payload = "hello";
    p.quality = proto::qos::exactly_once;
    p.expires_mono_ms = expires_mono_ms;
    p.publisher = 77;
    p.id = id;
    return message::make(p);
}

persist::put_session a_session() {
    return {3, "dev-1", "certificate:dev-1", proto::version::v5, 600, 1'799'999'999'000, a_message(30'000, 4), 12};
}

} // namespace

TEST_CASE("a session comes back with its owner, its end and its will, whose expiry stays relative") {
    kept store;
    store.apply({a_session()});
    const everything e = store.load();
    REQUIRE(e.sessions.size() == 1);
    const restored_session s = app::to_session(e.sessions[0]);
    CHECK(s.number == 3);
    CHECK(s.client_id == "dev-1");
    CHECK(s.identity == "certificate:dev-1");
    CHECK(s.protocol == proto::version::v5);
    CHECK(s.expiry_s == 600);
    CHECK(s.ended_unix_ms == 1'799'999'999'000);
    REQUIRE(s.will);
    CHECK(s.will->payload() == "hello");
    CHECK(s.will->expires_mono_ms() == 30'000);
    CHECK(s.will_delay_s == 12);
}

TEST_CASE("a subscription comes back with all its options") {
    kept store;
    persist::put_subscription p{3, "a/#", {}, 9};
    p.options.maximum_qos = proto::qos::exactly_once;
    p.options.no_local = true;
    p.options.retain_as_published = true;
    p.options.retained = proto::retain_handling::never;
    store.apply({a_session(), p});
    const everything e = store.load();
    REQUIRE(e.subscriptions.size() == 1);
    const subscription s = app::to_subscription(e.subscriptions[0]);
    CHECK(s.filter == "a/#");
    CHECK(s.options.maximum_qos == proto::qos::exactly_once);
    CHECK(s.options.no_local);
    CHECK(s.options.retain_as_published);
    CHECK(s.options.retained == proto::retain_handling::never);
    CHECK(s.id == 9);
    store.apply({persist::delete_subscription{3, "a/#"}});
    CHECK(store.load().subscriptions.empty());
}

TEST_CASE("a queued message comes back in its phase, its expiry counted on over the restart") {
    kept store;
    persist::enqueue q;
    q.session = 3;
    q.sequence = 4;
    q.message = a_message(written_at.mono_ms + 100'000);
    q.quality = proto::qos::at_least_once;
    q.retain = true;
    q.packet_id = 11;
    q.phase = delivery_phase::sent;
    q.subscription_ids = {7, 8};
    store.apply({a_session(), q});
    everything e = store.load();
    REQUIRE(e.queue.size() == 1);
    const delivery& d = e.queue[0];
    CHECK(d.sequence == 4);
    CHECK(d.id == 11);
    CHECK(d.quality == proto::qos::at_least_once);
    CHECK(d.retain);
    CHECK(d.phase == delivery_phase::sent);
    REQUIRE(d.ids.count == 2);
    CHECK(d.ids.data()[1] == 8);
    CHECK(d.message->topic() == "a/b");
    CHECK(d.message->properties() == "\x01\x01");
    CHECK(d.message->payload() == "hello");
    CHECK(d.message->publisher() == 77);
    CHECK(d.message->id() == 5);
    CHECK(d.message->expires_mono_ms() == read_at.mono_ms + 40'000); // a minute of the hundred seconds is over

    store.apply({persist::set_delivery{3, 4, 12, delivery_phase::released}});
    e = store.load();
    CHECK(e.queue[0].phase == delivery_phase::released);
    CHECK(e.queue[0].id == 12);
    store.apply({persist::dequeue{3, 4}});
    CHECK(store.load().queue.empty());
}

TEST_CASE("a message without expiry comes back without one") {
    kept store;
    persist::enqueue q;
    q.session = 3;
    q.sequence = 1;
    q.message = a_message();
    q.quality = proto::qos::exactly_once;
    store.apply({a_session(), q});
    CHECK(store.load().queue.at(0).message->expires_mono_ms() == never);
}

TEST_CASE("received QoS 2 ids are kept until they are released") {
    kept store;
    store.apply({a_session(), persist::put_received{3, 21}, persist::put_received{3, 22}});
    store.apply({persist::delete_received{3, 21}});
    CHECK(store.load().received == std::vector<std::uint16_t>{22});
}

TEST_CASE("a retained message is kept, and an empty payload clears it") {
    kept store;
    store.apply({persist::put_retained{1, a_message()}});
    REQUIRE(store.load().retained.size() == 1);
    CHECK(store.load().retained[0]->retain());
    message_parts empty;
    empty.topic = "a/b";
    empty.id = 6;
    store.apply({persist::put_retained{2, message::make(empty)}});
    CHECK(store.load().retained.empty());
}

TEST_CASE("a deleted session leaves nothing") {
    kept store;
    persist::enqueue q;
    q.session = 3;
    q.sequence = 1;
    q.message = a_message();
    q.quality = proto::qos::at_least_once;
    store.apply({a_session(), persist::put_subscription{3, "a", {}, 0}, q, persist::put_received{3, 1}});
    store.apply({persist::delete_session{3}});
    const everything e = store.load();
    CHECK(e.sessions.empty());
    CHECK(e.subscriptions.empty());
    CHECK(e.queue.empty());
    CHECK(e.received.empty());
}

TEST_CASE("what was stored while the clock was in 1970 has what was left of its time after the next start") {
    const instant in_1970{5'000, 60'000};
    kept store;
    const auto once = proto::qos::at_least_once;
    store.apply({a_session(), persist::enqueue{3, 1, a_message(in_1970.mono_ms + 600'000, 5), once, false, 0, {}, {}},
                 persist::enqueue{3, 2, a_message(in_1970.mono_ms - 1, 6), once, false, 0, {}, {}},
                 persist::enqueue{3, 3, a_message(never, 7), once, false, 0, {}, {}}},
                in_1970);
    const everything e = store.load();
    REQUIRE(e.queue.size() == 3);
    CHECK(e.queue[0].message->expires_mono_ms() == read_at.mono_ms + 600'000);
    CHECK(e.queue[1].message->expired(read_at.mono_ms + 1));
    CHECK(e.queue[2].message->expires_mono_ms() == never);
}
