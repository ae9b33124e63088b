#include "tests/sim/runner.hpp"

#include <array>
#include <utility>

#include "tests/sim/player.hpp"

namespace fb::sim {
namespace {

const std::array<std::string, 4> topics{"a", "a/b", "a/c", "b"};
const std::array<std::string, 9> filters{"a", "a/b", "a/#", "+/b", "#", "b", "+", "$share/g/a/#", "$share/h/+"};

template <class Array>
const auto& pick(const Array& from, int which) {
    return from[static_cast<std::size_t>(which) % from.size()];
}

test::broker_setup setup_of(const plan& p) {
    test::broker_setup s;
    s.shards = static_cast<core::shard_id>(p.shards);
    s.limits.session_expiry_max_s = longest_expiry_s;
    s.limits.connect_timeout_s = s.limits.ack_wait_max_s = 10'000'000;
    if (!p.small_limits) return s;
    s.limits.ack_wait_max_s = 10;
    s.limits.queued_messages_max = 2;
    s.limits.backlog_messages_max = 2;
    s.limits.output_bytes_high = 60;
    s.limits.inflight_max = 2;
    s.limits.retained_messages_max = 1;
    s.limits.match_cache_entries_max = 2;
    return s;
}

class runner {
  public:
    explicit runner(const plan& p)
        : plan_(p)
        , world_(p, setup_of(p)) {
        const std::array<const char*, model::client_count> names{"ann", "bob", "joe", "dan", "eve"}; // on all shards
        for (int i = 0; i < model::client_count; ++i) {
            const auto v = i == 3 ? proto::version::v3_1_1 : proto::version::v5;
            players_.push_back(std::make_unique<player>(world_, i, names[static_cast<std::size_t>(i)], v));
        }
        if (p.wrong == fault::forget_row) {
            world_.broker.store().loses = [this](const core::persist_operation& op) {
                return std::holds_alternative<core::persist::enqueue>(op) && world_.wrong_in-- == 0;
            };
        }
    }

    outcome run() {
        outcome o;
        try {
            for (const operation& op : plan_.operations) {
                carry_out(op);
                after_step();
                ++o.step;
            }
            everybody_comes_back();
        } catch (const divergence& d) {
            o.diverged = true;
            o.expected = d.expected;
            o.came = d.came;
        }
        o.story = std::move(world_.story);
        return o;
    }

  private:
    bool all_committed() const {
        return !store_fails_ && world_.broker.uncommitted() == 0 && world_.broker.crossings_waiting() == 0;
    }
    bool held() const { return world_.commits_held || world_.crossings_held || queues_unread_; }
    void say(const std::string& text) { world_.story.push_back("-- " + text); }

    void take_packets() {
        for (std::size_t before = 0; before != world_.story.size();) {
            before = world_.story.size();
            for (auto& p : players_) // the end of one may be why another is sent something
                if (p->was_closed()) p->take_packets();
            for (auto& p : players_) p->take_packets();
        }
    }

    void after_step() {
        take_packets();
        world_.reference.step_done(held(), all_committed());
        if (const auto broken = world_.broker.broken_invariant(); !broken.empty())
            throw divergence{"invariants to hold", broken};
        if (held() || world_.lenient) return;
        for (auto& p : players_) p->check_quiet();
    }

    void carry_out(const operation& op);
    bool carry_out_world(const operation& op);
    void connect(player& p, const operation& op);
    void subscribe(player& p, const operation& op);
    void publish(player& p, const operation& op);
    void pass_time(std::int64_t ms);
    void power_cut(bool queues_later);
    void read_queues();
    void fail_store();
    void repair_store();
    void everybody_comes_back();

    const plan& plan_;
    world world_;
    std::vector<std::unique_ptr<player>> players_;
    int wills_ = 0;
    bool store_fails_ = false;
    bool queues_unread_ = false; // since the last start
};

void runner::carry_out(const operation& op) {
    player& p = *players_[op.client];
    switch (op.what) {
    case operation::connect: return connect(p, op);
    case operation::disconnect: {
        const std::optional<std::uint32_t> expiry_s[] = {{}, {}, 0, 10};
        p.disconnect(op.a % 2 == 0, pick(std::to_array(expiry_s), op.b));
        return;
    }
    case operation::cut: p.cut(); return;
    case operation::subscribe: return subscribe(p, op);
    case operation::unsubscribe: p.unsubscribe(pick(filters, op.a)); return;
    case operation::publish: return publish(p, op);
    case operation::acknowledge: p.acknowledge(op.a, op.b < 12); return;
    case operation::acknowledge_all:
        while (p.acknowledge(op.a, false)) take_packets();
        return;
    case operation::release: p.release(); return;
    case operation::stop_reading: p.stop_reading(); return;
    case operation::read: p.read(); return;
    case operation::pass_time: return pass_time(pick(std::array{1003, 1003, 6007, 6007, 31013, 200003}, op.a));
    default: carry_out_world(op);
    }
}

bool runner::carry_out_world(const operation& op) {
    test::broker& b = world_.broker;
    switch (op.what) {
    case operation::hold_commits:
        say("commits wait");
        world_.commits_held = true;
        b.hold_commits();
        return true;
    case operation::commit_oldest:
        if (store_fails_ || all_committed()) return false;
        say("the oldest batch is committed");
        b.commit_oldest();
        return true;
    case operation::release_commits:
        if (store_fails_) return false;
        say("everything is committed");
        world_.commits_held = false;
        b.release_commits();
        return true;
    case operation::hold_crossings:
        say("crossings wait");
        world_.crossings_held = true;
        b.hold_crossings();
        return true;
    case operation::cross_one:
        if (b.cross_one(static_cast<core::shard_id>(op.a % plan_.shards))) say("one crossing is delivered");
        return true;
    case operation::release_crossings:
        say("crossings are delivered");
        world_.crossings_held = false;
        b.release_crossings();
        return true;
    case operation::store_fails: fail_store(); return true;
    case operation::store_works: repair_store(); return true;
    case operation::read_queues: read_queues(); return true;
    default: power_cut(op.a % 2 != 0); return true;
    }
}

void runner::connect(player& p, const operation& op) {
    connect_sent c;
    c.clean = op.a % 4 == 0;
    c.expiry_s = pick(std::array<std::uint32_t, 4>{0, 30, longest_expiry_s, longest_expiry_s}, op.b);
    c.receive_maximum = pick(std::array{1, 2, 5, 65535}, op.c);
    if (op.d % 3 == 0 && !world_.lenient) {
        will_message w;
        w.topic = pick(topics, op.d / 3);
        w.payload = "will" + std::to_string(world_.reference.next_number()) + "/" + std::to_string(wills_++);
        w.qos = op.d / 16 % 3;
        w.delay_s = p.version5() && op.d % 2 == 0 ? 10 : 0;
        c.will = w;
    }
    p.connect(c);
}

void runner::subscribe(player& p, const operation& op) {
    const std::size_t which = op.a % filters.size();
    subscription s;
    s.qos = op.b % 3;
    s.no_local = op.b / 4 % 4 == 0;
    s.as_published = op.b / 16 % 2 == 0;
    s.retain_handling = op.c % 3;
    const auto number = static_cast<std::uint32_t>(which);
    s.id = is_shared(filters[which]) ? 100 + number : number % 4;
    p.subscribe(filters[which], s);
}

void runner::publish(player& p, const operation& op) {
    publication m;
    m.topic = pick(topics, op.a);
    m.qos = op.b % 3;
    m.retain = op.c % 4 == 0;
    if (!m.retain || op.c % 16 != 0) m.payload = "x"; // else it clears
    if (op.d % 5 == 0) m.expiry_s = 5;
    p.publish(m);
}

void runner::pass_time(std::int64_t ms) {
    say(std::to_string(ms) + " ms pass");
    world_.reference.advance(ms);
    world_.broker.after_ms(ms);
}

void runner::power_cut(bool queues_later) {
    say(queues_later ? "power cut; queues will be read later" : "power cut");
    world_.reference.power_cut(all_committed());
    store_fails_ = false;
    world_.broker.restart(queues_later ? test::broker::queues::later : test::broker::queues::now);
    queues_unread_ = queues_later;
    for (auto& p : players_) p->power_cut();
}

void runner::read_queues() {
    if (!std::exchange(queues_unread_, false)) return;
    say("queues are read");
    world_.broker.read_queues();
}

void runner::fail_store() {
    if (!world_.lenient || store_fails_) return;
    say("the store fails, and what would have to be stored is refused");
    store_fails_ = world_.commits_held = true;
    world_.broker.hold_commits();
    world_.broker.refuse_to_store(true);
}

void runner::repair_store() {
    if (!store_fails_) return;
    say("the store works again");
    store_fails_ = world_.commits_held = false;
    world_.broker.refuse_to_store(false);
    world_.broker.release_commits();
}

/// Everybody who has a session comes back to it, reads and acknowledges; a newcomer asks for what is retained.
void runner::everybody_comes_back() {
    repair_store();
    read_queues();
    say("everybody comes back");
    world_.commits_held = world_.crossings_held = false;
    world_.broker.release_crossings();
    world_.broker.release_commits();
    after_step();
    for (auto& p : players_) {
        p->read();
        if (!p->online() && p->of().is == session::there) p->connect({.clean = false, .expiry_s = longest_expiry_s});
        after_step();
    }
    players_.back()->connect({.clean = true});
    after_step();
    players_.back()->subscribe("#", {.qos = 2});
    after_step();
    for (bool busy = true; busy;) {
        busy = false;
        for (auto& p : players_) {
            while (p->acknowledge(0, false) || p->release()) {
                busy = true;
                after_step();
            }
        }
    }
    if (!world_.lenient) world_.reference.check_shared_delivered();
    if (const auto left = world_.broker.left_at_the_end(); !left.empty())
        throw divergence{"nothing left at the end", left};
}

} // namespace

outcome run(const plan& p) { return runner(p).run(); }

} // namespace fb::sim
