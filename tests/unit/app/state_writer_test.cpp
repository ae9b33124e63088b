// The writer of state.db against a store that can be held and can fail.
#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "broker/app/state_writer.hpp"

using namespace fb;
using app::state_writer;

namespace {

/// Keeps the numbers of the delete_session operations it was given, in commits; 0 for others.
class scripted_store final : public storage::session_store {
  public:
    storage::result<storage::session_counters> load(const storage::session_loader&) override {
        return storage::session_counters{};
    }
    storage::status apply(std::span<const storage::session_operation> operations) override {
        std::unique_lock lock(mutex_);
        ++attempts_;
        changed_.notify_all();
        changed_.wait(lock, [this] { return !held_; });
        if (failing_) return storage::error{storage::error_kind::unavailable, "disk full"};
        commits_.emplace_back();
        for (const auto& op : operations) commits_.back().push_back(number_of(op));
        changed_.notify_all();
        return storage::done{};
    }

    void hold(bool on) { set(held_, on); }
    void fail(bool on) { set(failing_, on); }
    void await_attempts(int count) {
        std::unique_lock lock(mutex_);
        REQUIRE(changed_.wait_for(lock, std::chrono::seconds(30), [&] { return attempts_ >= count; }));
    }
    std::vector<std::vector<std::uint64_t>> commits() {
        const std::lock_guard lock(mutex_);
        return commits_;
    }
    std::vector<std::uint64_t> all() {
        std::vector<std::uint64_t> out;
        for (const auto& c : commits()) out.insert(out.end(), c.begin(), c.end());
        return out;
    }

  private:
    static std::uint64_t number_of(const storage::session_operation& op) {
        const auto* ended = std::get_if<storage::delete_session>(&op);
        return ended != nullptr ? ended->number : 0;
    }
    void set(bool& what, bool on) {
        const std::lock_guard lock(mutex_);
        what = on;
        changed_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool held_ = false;
    bool failing_ = false;
    int attempts_ = 0;
    std::vector<std::vector<std::uint64_t>> commits_;
};

core::persist_batch batch(std::uint64_t serial, std::uint64_t number, bool urgent = true) {
    core::persist_batch b;
    b.serial = serial;
    b.urgent = urgent;
    b.operations.emplace_back(core::persist::delete_session{number});
    return b;
}

/// What the shards were told, in order.
class answers {
  public:
    void listen(state_writer& w) {
        w.on_committed([this](core::shard_id shard, std::uint64_t serial) {
            const std::lock_guard lock(mutex_);
            told_.emplace_back(shard, serial);
            changed_.notify_all();
        });
    }
    void await(core::shard_id shard, std::uint64_t serial) {
        std::unique_lock lock(mutex_);
        const auto there = [&] {
            for (const auto& [s, n] : told_) {
                if (s == shard && n == serial) return true;
            }
            return false;
        };
        REQUIRE(changed_.wait_for(lock, std::chrono::seconds(30), there));
    }
    std::size_t count() {
        const std::lock_guard lock(mutex_);
        return told_.size();
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::pair<core::shard_id, std::uint64_t>> told_;
};

} // namespace

TEST_CASE("what gathers while a commit runs goes in one further commit, in order, with one answer per shard") {
    scripted_store store;
    answers told;
    state_writer w(store);
    told.listen(w);
    store.hold(true);
    w.submit(0, batch(1, 10));
    store.await_attempts(1);
    w.submit(0, batch(2, 11));
    w.submit(1, batch(1, 20));
    w.submit(0, batch(3, 12));
    w.submit(1, batch(2, 21));
    store.hold(false);
    told.await(0, 3);
    told.await(1, 2);
    CHECK(store.commits() == std::vector<std::vector<std::uint64_t>>{{10}, {11, 20, 12, 21}});
    CHECK(told.count() == 3);
    CHECK(w.commits() == 2);
    CHECK(w.operations() == 5);
}

TEST_CASE("a batch nobody waits for is joined by others and goes with the first urgent one") {
    scripted_store store;
    answers told;
    state_writer w(store);
    told.listen(w);
    store.hold(true);
    w.submit(0, batch(1, 1));
    store.await_attempts(1); // so that the next two are surely waiting together
    w.submit(0, batch(2, 2, false));
    w.submit(1, batch(1, 3, false));
    w.submit(1, batch(2, 4));
    store.hold(false);
    told.await(1, 2);
    CHECK(store.commits().size() == 2);
}

TEST_CASE("a batch nobody waits for is committed all the same") {
    scripted_store store;
    answers told;
    state_writer w(store);
    told.listen(w);
    w.submit(0, batch(1, 1, false));
    told.await(0, 1);
    CHECK(store.all() == std::vector<std::uint64_t>{1});
}

TEST_CASE("while the store refuses nothing is answered, nothing is lost and nothing overtakes") {
    scripted_store store;
    answers told;
    state_writer w(store);
    told.listen(w);
    store.fail(true);
    w.submit(0, batch(1, 1));
    w.submit(0, batch(2, 2));
    store.await_attempts(3);
    w.submit(1, batch(1, 3));
    CHECK(told.count() == 0);
    CHECK_FALSE(w.health().first);
    CHECK(w.health().second == "disk full");
    store.fail(false);
    told.await(0, 2);
    told.await(1, 1);
    CHECK(store.all() == std::vector<std::uint64_t>{1, 2, 3});
    CHECK(w.health().first);
}

TEST_CASE("stopping commits what was submitted, lazy or not") {
    scripted_store store;
    {
        state_writer w(store);
        w.submit(0, batch(1, 1, false));
        w.submit(0, batch(2, 2, false));
    }
    CHECK(store.all() == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("stopping while the store refuses ends, and writes nothing after what it gave up") {
    scripted_store store;
    answers told;
    {
        state_writer w(store);
        told.listen(w);
        store.fail(true);
        w.submit(0, batch(1, 1));
        store.await_attempts(1);
        w.submit(0, batch(2, 2));
    }
    CHECK(store.all().empty());
    CHECK(told.count() == 0);
}

namespace {

/// Counts about as much as `mib` say.
core::persist_batch large(std::uint64_t serial, std::size_t mib) {
    core::persist_batch b;
    b.serial = serial;
    b.urgent = true;
    const std::string payload(1 << 20, 'x');
    for (std::size_t i = 0; i < mib; ++i) {
        core::message_parts parts;
        parts.topic = "a";
        parts.payload = payload;
        parts.id = i + 1;
        core::persist::put_session op;
        op.number = serial;
        op.will = core::message::make(parts);
        b.operations.emplace_back(std::move(op));
    }
    return b;
}

/// What on_refusing told, in order.
class marks {
  public:
    void listen(state_writer& w) {
        w.on_refusing([this](bool refuses) {
            const std::lock_guard lock(mutex_);
            told_.push_back(refuses);
            changed_.notify_all();
        });
    }
    void await(std::vector<bool> all) {
        std::unique_lock lock(mutex_);
        REQUIRE(changed_.wait_for(lock, std::chrono::seconds(30), [&] { return told_.size() >= all.size(); }));
        CHECK(told_ == all);
    }
    bool none() {
        const std::lock_guard lock(mutex_);
        return told_.empty();
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<bool> told_;
};

constexpr std::chrono::milliseconds for_ever = std::chrono::hours(1000);
constexpr std::size_t mib = 1 << 20;
constexpr std::size_t low_mib = state_writer::refused_above_bytes / mib;
constexpr std::size_t high_mib = state_writer::waiting_bytes_high / mib;

} // namespace

TEST_CASE("behind a slow disk nobody is read from past the upper mark, and nothing is refused") {
    scripted_store store;
    answers told;
    marks refusals;
    state_writer w(store, for_ever);
    told.listen(w);
    refusals.listen(w);
    store.hold(true);
    w.submit(0, large(1, high_mib - 1));
    CHECK_FALSE(w.behind());
    w.submit(0, large(2, 2));
    CHECK(w.behind());
    CHECK(w.health().first);
    store.hold(false);
    told.await(0, 2);
    CHECK_FALSE(w.behind());
    CHECK(w.waiting_bytes() == 0);
    CHECK(refusals.none());
}

TEST_CASE("past the lower mark a store that fails refuses, once told, until it writes again; nobody is held up") {
    scripted_store store;
    answers told;
    marks refusals;
    state_writer w(store, for_ever);
    told.listen(w);
    refusals.listen(w);
    store.fail(true);
    w.submit(0, large(1, low_mib - 1));
    store.await_attempts(2);
    CHECK(refusals.none());
    w.submit(0, large(2, 2));
    refusals.await({true});
    CHECK(w.refusing());
    CHECK(w.health().second == "disk full; what would have to be stored is refused");
    w.submit(1, large(1, high_mib));
    CHECK_FALSE(w.behind());
    store.fail(false);
    told.await(1, 1);
    refusals.await({true, false});
    CHECK_FALSE(w.refusing());
    CHECK(w.health().first);
}

TEST_CASE("it refuses when the store begins to fail with much waiting already") {
    scripted_store store;
    marks refusals;
    state_writer w(store, for_ever);
    refusals.listen(w);
    store.hold(true);
    w.submit(0, large(1, low_mib + 1));
    store.await_attempts(1);
    CHECK(refusals.none());
    store.fail(true);
    store.hold(false);
    refusals.await({true});
    store.fail(false);
    refusals.await({true, false});
}

TEST_CASE("a store that does not answer counts as one that fails") {
    scripted_store store;
    marks refusals;
    state_writer w(store, std::chrono::milliseconds(0));
    refusals.listen(w);
    store.hold(true);
    w.submit(0, batch(1, 1));
    store.await_attempts(1);
    CHECK(w.health().second.starts_with("the disk has not answered for"));
    w.submit(0, large(2, low_mib + 1));
    refusals.await({true});
    store.hold(false);
    refusals.await({true, false});
}

TEST_CASE("one message for many sessions counts once against the marks") {
    scripted_store store;
    state_writer w(store, for_ever);
    store.hold(true);
    core::message_parts parts;
    const std::string payload(1 << 20, 'x');
    parts.payload = payload;
    const auto m = core::message::make(parts);
    core::persist_batch b;
    b.serial = 1;
    for (std::uint64_t session = 1; session <= 100; ++session)
        b.operations.emplace_back(core::persist::enqueue{session, 1, m, proto::qos::at_least_once, false, 0, {}, {}});
    w.submit(0, std::move(b));
    CHECK(w.waiting_bytes() < 2 * mib);
    store.hold(false);
}
