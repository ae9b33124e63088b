// Tests of the engine as transcripts: simulated shards, connections, inboxes, a state store and a clock in one thread.
//
//     broker b;
//     client& c = b.client("c");
//     c.connect().expect("CONNACK 00");
//     c.publish("a", "x", 1).expect("PUBACK #1 10");
//
// Everything settles after each step: output is delivered (unless the client stopped reading), inboxes are emptied
// (unless held), operations are committed (unless held). fail_at_every_step() runs a transcript once per step with the
// connection cut there; expectations are mute from the cut on, and the broker's invariants are checked to the end.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/engine.hpp"
#include "tests/support/describe.hpp"
#include "tests/support/model_store.hpp"
#include "tests/support/transcript_client.hpp"

namespace fb::test {

class broker {
  public:
    explicit broker(broker_setup setup = {})
        : setup_(std::move(setup)) {
        start();
    }
    broker(const broker&) = delete;
    ~broker() { check_invariants(); }

    test::client& client(const std::string& id, proto::version v = proto::version::v5) {
        auto& found = clients_[id];
        if (!found) found = std::make_unique<test::client>(*this, id, v);
        return *found;
    }
    test::client& client_v311(const std::string& id) { return client(id, proto::version::v3_1_1); }

    // --- time ---
    void after_ms(std::int64_t ms) {
        // Deadline by deadline, as a shell would.
        const std::int64_t end = now_.mono_ms + ms;
        for (;;) {
            std::int64_t next = core::never;
            for (auto& s : shards_) next = std::min(next, s->engine->next_deadline_ms());
            if (next > end) break;
            pass_until(next);
        }
        pass_until(end);
    }
    void after(std::int64_t seconds) { after_ms(seconds * 1000); }
    const core::instant& now() const { return now_; }
    void set_wall_clock(std::int64_t unix_ms) { now_.unix_ms = unix_ms; }

    // --- the state store ---
    void hold_commits() { hold_commits_ = true; }
    /// Commits what waits so far.
    void commit() {
        make_durable(std::exchange(uncommitted_, {}));
        settle();
    }
    /// Commits the oldest batch only.
    void commit_oldest() {
        if (uncommitted_.empty()) return;
        commit_group oldest;
        oldest.push_back(std::move(uncommitted_.front()));
        uncommitted_.pop_front();
        make_durable(oldest);
        settle();
    }
    void release_commits() {
        hold_commits_ = false;
        commit();
    }
    std::size_t uncommitted() const { return uncommitted_.size(); }
    /// It fails, and too much waits for it; or it writes again.
    void refuse_to_store(bool refuses) {
        for (auto& s : shards_) s->engine->on_store_state(refuses, now_);
        settle();
    }
    model_store& store() { return store_; }
    enum class queues { now, later };
    /// Power is lost, and comes back: what was not committed is gone. `later`: read_queues() brings the sessions'.
    void restart(queues when = queues::now) {
        unread_.clear();
        for (auto& [name, c] : clients_) forget(*c);
        shards_.clear();
        uncommitted_.clear();
        auth_steps_.clear();
        locals.clear();
        start(when);
        settle();
    }
    void read_queues() {
        for (auto& [session, queue] : std::exchange(unread_, {})) {
            shards_[session.shard]->engine->restore_queue(session, std::move(queue), now_);
            settle();
        }
    }

    // --- between shards ---
    void hold_crossings() { hold_crossings_ = true; }
    void release_crossings() {
        hold_crossings_ = false;
        settle();
    }
    std::size_t crossings_waiting() const {
        std::size_t sum = 0;
        for (const auto& s : shards_) sum += s->inbox.size();
        return sum;
    }
    /// Delivers the oldest crossing of one inbox.
    bool cross_one(core::shard_id shard) {
        auto& inbox = shards_[shard]->inbox;
        if (inbox.empty()) return false;
        core::crossing what = std::move(inbox.front());
        inbox.pop_front();
        shards_[shard]->engine->on_crossed(std::move(what), now_);
        settle();
        return true;
    }

    // --- checking passwords ---
    void hold_auth() { hold_auth_ = true; }
    void release_auth() {
        hold_auth_ = false;
        settle();
    }

    // --- the in-process client ---
    void subscribe_local(std::string_view filter) {
        index->subscribe(filter, core::engine::local_subscriber(proto::qos::exactly_once));
    }
    void verdict(const core::ack_token& token, proto::reason_code reason = {}, std::string_view text = {}) {
        shards_[token.session.shard]->engine->on_local_verdict(token, reason, text, now_);
        settle();
    }
    void publish_live(const core::local_publish& p) {
        // From one thread to one shard, which hands it on.
        shards_[0]->engine->publish_live(p, now_);
        settle();
    }
    void publish_system(std::string_view topic, std::string_view payload) {
        shards_[0]->engine->publish_system(topic, payload, now_);
        settle();
    }
    void deliver(const core::direct_delivery& d) {
        shards_[d.to.shard]->engine->deliver(d, now_);
        settle();
    }
    std::vector<core::local_delivery> locals;
    std::vector<core::peer_event> peers;
    std::vector<core::publish_refusal> refusals;

    void stop() {
        for (auto& s : shards_) s->engine->stop(now_);
        settle();
    }

    // --- looking at it ---
    core::engine& engine(core::shard_id shard = 0) { return *shards_[shard]->engine; }
    std::uint64_t total(core::counter core::counters::*which) const {
        std::uint64_t sum = 0;
        for (const auto& s : shards_) sum += (s->engine->statistics().*which).get();
        return sum;
    }
    std::size_t session_count() const {
        std::size_t sum = 0;
        for (const auto& s : shards_) sum += s->engine->session_count();
        return sum;
    }
    std::unique_ptr<core::routing_index> index;
    std::unique_ptr<core::retained> retained;
    std::unique_ptr<core::shared_counts> counts;

    /// A step of the transcript: the place where a fault may come. False when the client is to be cut instead.
    bool step() {
        ++steps_;
        if (steps_ != setup_.cut_at_step) return true;
        mute_ = true;
        return false;
    }
    int steps() const { return steps_; }
    bool muted() const { return mute_; }

    void check_invariants() { CHECK(broken_invariant() == ""); }
    std::string broken_invariant() const {
        if (shards_.empty()) return {};
        std::size_t online = 0;
        for (const auto& s : shards_) {
            const auto& n = s->engine->statistics();
            if (n.sessions.get() != s->engine->session_count()) return "a shard's count of sessions";
            online += n.connections.get();
        }
        if (counts->sessions.load() != session_count()) return "the count of sessions";
        if (counts->connections.load() != online) return "the count of connections";
        return {};
    }
    /// Everybody goes and every session runs out: nothing may be left.
    void end() { CHECK(left_at_the_end() == ""); }
    std::string left_at_the_end() {
        mute_ = true;
        hold_commits_ = hold_crossings_ = hold_auth_ = false;
        commit();
        for (auto& [name, c] : clients_) drop(*c);
        settle();
        if (auto broken = broken_invariant(); !broken.empty()) return broken;
        after(std::int64_t{setup_.limits.session_expiry_max_s} + 1);
        if (session_count() != 0) return "sessions";
        if (store_.session_count() != 0) return "stored sessions";
        if (store_.row_count() != 0) return "stored messages";
        for (auto& s : shards_)
            if (s->engine->next_deadline_ms() != core::never) return "a deadline";
        return broken_invariant();
    }

  private:
    friend class test::client;
    struct node : core::crossing_port {
        explicit node(broker& b)
            : owner(b) {}
        void send(core::shard_id to, core::crossing what) override {
            owner.shards_[to]->inbox.push_back(std::move(what));
        }
        void deliver_sent() override {}
        broker& owner;
        core::effects effects;
        std::deque<core::crossing> inbox;
        std::unique_ptr<core::engine> engine;
    };

    void start(queues when = queues::now) {
        index = std::make_unique<core::routing_index>();
        retained =
            std::make_unique<core::retained>(setup_.limits.retained_messages_max, setup_.limits.retained_bytes_max);
        counts = std::make_unique<core::shared_counts>();
        for (core::shard_id i = 0; i < setup_.shards; ++i) {
            core::engine_config config;
            config.shard = i;
            config.shard_count = setup_.shards;
            config.limits = setup_.limits;
            config.acl = setup_.acl;
            config.durability_rules = setup_.durability_rules;
            config.otherwise = setup_.otherwise;
            config.valid_device_id = [](std::string_view id) {
                return !id.empty() && id.find_first_of("+#/ ") == id.npos;
            };
            config.seed = i + 1u;
            if (setup_.configure) setup_.configure(config);
            shards_.push_back(std::make_unique<node>(*this));
            auto& s = *shards_.back();
            s.engine =
                std::make_unique<core::engine>(config, core::shared_state{*index, *retained, *counts}, s, s.effects);
            s.engine->number_from(store_.next_session_number(), store_.next_message_id());
        }
        store_.restore_retained(*retained);
        for (auto& s : store_.sessions()) {
            core::engine& home = *shards_[core::home_shard(s.client_id, setup_.shards)]->engine;
            std::vector<core::delivery> later;
            if (when == queues::later && !s.queue.empty()) {
                later.swap(s.queue);
                s.unread = {later.back().sequence, static_cast<std::uint32_t>(later.size())};
            }
            const core::session_handle session = home.restore(std::move(s), now_);
            if (!later.empty()) unread_.push_back({session, std::move(later)});
        }
    }

    void pass_until(std::int64_t mono_ms) {
        now_.unix_ms += mono_ms - now_.mono_ms;
        now_.mono_ms = std::max(now_.mono_ms, mono_ms);
        for (auto& s : shards_) s->engine->on_time(now_);
        settle();
    }

    test::client* owner_of(core::shard_id shard, core::connection_handle h) {
        for (auto& [name, c] : clients_)
            if (c->handle_ == h && c->shard_ == shard) return c.get();
        return nullptr;
    }

    /// Carries out effects until nothing happens any more.
    void settle() {
        for (bool busy = true; busy;) {
            busy = false;
            for (core::shard_id i = 0; i < shards_.size(); ++i) busy |= turn(i);
            if (!hold_commits_ && !uncommitted_.empty()) {
                make_durable(std::exchange(uncommitted_, {}));
                busy = true;
            }
        }
    }

    bool turn(core::shard_id i) {
        node& s = *shards_[i];
        bool busy = false;
        if (core::persist_batch batch; s.engine->take_persist(batch)) {
            uncommitted_.push_back({i, std::move(batch)});
            busy = true;
        }
        core::effects done;
        std::swap(done, s.effects);
        s.effects.next_order = done.next_order;
        for (auto& x : done.local) locals.push_back(std::move(x));
        for (auto& x : done.peers) peers.push_back(std::move(x));
        for (auto& x : done.refusals) refusals.push_back(std::move(x));
        for (auto& x : done.auth) auth_steps_.push_back({i, std::move(x)});
        if (!hold_auth_) busy |= take_auth_step();
        for (const auto h : done.touched)
            if (test::client* c = owner_of(i, h)) flush(*c);
        for (const auto& r : done.closes) {
            busy = true;
            test::client* c = owner_of(i, r.connection);
            if (c == nullptr) continue;
            flush(*c);
            c->closed_ = r.cause;
            drop(*c);
        }
        for (const auto h : done.resumed) {
            busy = true;
            if (test::client* c = owner_of(i, h)) feed(*c);
        }
        if (!hold_crossings_ && !s.inbox.empty()) {
            busy = true;
            core::crossing what = std::move(s.inbox.front());
            s.inbox.pop_front();
            s.engine->on_crossed(std::move(what), now_);
        }
        return busy || !s.effects.touched.empty() || !s.effects.closes.empty() || !s.effects.resumed.empty();
    }

    bool take_auth_step() {
        if (auth_steps_.empty()) return false;
        auto [shard, step] = std::move(auth_steps_.front());
        auth_steps_.pop_front();
        shards_[shard]->engine->on_auth_verdict(step.connection, step.exchange->step(step.data), now_);
        return true;
    }

    void make_durable(const commit_group& group) {
        if (setup_.keep && !group.empty()) setup_.keep(group);
        for (const auto& [shard, batch] : group) {
            store_.apply(batch);
            shards_[shard]->engine->on_committed(batch.serial, now_);
        }
    }

    void flush(test::client& c) {
        core::engine& e = *shards_[c.shard_]->engine;
        for (;;) {
            std::array<std::string_view, 3> pieces;
            const std::size_t n = e.gather(c.handle_, pieces);
            std::size_t sent = 0;
            for (std::size_t k = 0; k < n && c.read_budget_ > 0; ++k) {
                const auto part = pieces[k].substr(0, c.read_budget_);
                c.received_ += part;
                sent += part.size();
                if (c.read_budget_ != static_cast<std::size_t>(-1)) c.read_budget_ -= part.size();
            }
            if (sent == 0) return;
            e.written(c.handle_, sent, now_);
        }
    }

    /// As the shells do: the connection goes to its home shard once the first packet is there.
    void place(test::client& c) {
        const auto f = proto::next_frame(c.unsent_, setup_.limits.connect_packet_bytes_max);
        if (!f || !f->complete()) return;
        c.placed_ = true;
        const auto home = core::route_connect(*f, setup_.shards);
        if (!home || *home == c.shard_) return;
        shards_[c.shard_]->engine->closed(c.handle_, now_);
        c.shard_ = *home;
        c.handle_ = shards_[c.shard_]->engine->open(c.info_, now_);
    }

    void feed(test::client& c) {
        if (!c.handle_) return;
        if (!c.placed_) place(c);
        core::engine& e = *shards_[c.shard_]->engine;
        const std::size_t piece = setup_.feed_bytes == 0 ? c.unsent_.size() : setup_.feed_bytes;
        for (std::size_t have = std::min(piece, c.unsent_.size()); have > 0 && !e.paused(c.handle_);) {
            const std::size_t used = e.receive(c.handle_, std::string_view(c.unsent_).substr(0, have), now_);
            c.unsent_.erase(0, used);
            if (have - used == c.unsent_.size()) break;
            have = std::min(have - used + piece, c.unsent_.size());
        }
    }

    void drop(test::client& c) {
        if (!c.handle_) return;
        const auto h = c.handle_;
        forget(c);
        shards_[c.shard_]->engine->closed(h, now_);
    }
    static void forget(test::client& c) {
        c.handle_ = {};
        c.placed_ = false;
        c.unsent_.clear();
    }

    broker_setup setup_;
    core::instant now_{1'000'000, 1'795'341'600'000};
    std::vector<std::unique_ptr<node>> shards_;
    std::map<std::string, std::unique_ptr<test::client>> clients_;
    model_store store_;
    commit_group uncommitted_;
    std::vector<std::pair<core::session_handle, std::vector<core::delivery>>> unread_;
    bool hold_commits_ = false;
    std::deque<std::pair<core::shard_id, core::auth_step>> auth_steps_;
    bool hold_crossings_ = false;
    bool hold_auth_ = false;
    int steps_ = 0;
    bool mute_ = false;
};

/// Runs the transcript as it is; then fed in small pieces; then once per step with the sender cut off there.
inline void fail_at_every_step(broker_setup setup, const std::function<void(broker&)>& transcript) {
    setup.limits.session_expiry_max_s = std::min(setup.limits.session_expiry_max_s, 100'000u);
    int steps = 0;
    for (const std::size_t piece : {0, 1, 7}) {
        setup.feed_bytes = piece;
        broker b(setup);
        transcript(b);
        steps = b.steps();
        b.end();
    }
    setup.feed_bytes = 0;
    for (setup.cut_at_step = 1; setup.cut_at_step <= steps; ++setup.cut_at_step) {
        INFO("cut at step " << setup.cut_at_step);
        broker b(setup);
        transcript(b);
        b.end();
    }
}

} // namespace fb::test

#include "tests/support/transcript_steps.hpp"
