#include "broker/app/state_writer.hpp"

#include <algorithm>
#include <optional>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include "broker/app/passing_deliveries.hpp"
#include "broker/app/state_records.hpp"
#include "broker/net/time_now.hpp"

namespace fb::app {
namespace {

using namespace std::chrono_literals;

constexpr auto lazy_delay = 50ms;
constexpr std::chrono::milliseconds retry_first{100};
constexpr std::chrono::milliseconds retry_most{2000};
constexpr auto stop_patience = 2s;

/// What operations hold beside themselves.
struct content_size {
    const core::message* last = nullptr; // one message for many sessions counts once

    std::size_t of(const core::message_ptr& m) {
        if (!m || m.get() == last) return 0;
        last = m.get();
        return m->bytes();
    }
    std::size_t operator()(const core::persist::enqueue& op) { return of(op.message); }
    std::size_t operator()(const core::persist::put_retained& op) { return of(op.message); }
    std::size_t operator()(const core::persist::put_session& op) {
        return op.client_id.size() + op.identity.size() + of(op.will);
    }
    std::size_t operator()(const core::persist::put_subscription& op) { return op.filter.size(); }
    std::size_t operator()(const core::persist::delete_subscription& op) { return op.filter.size(); }
    template <class Other>
    std::size_t operator()(const Other&) {
        return 0;
    }
};

std::size_t size_of(const core::persist_batch& batch) {
    constexpr std::size_t each = 256;
    std::size_t bytes = each * batch.operations.size();
    content_size content;
    for (const auto& op : batch.operations) bytes += std::visit(content, op);
    return bytes;
}

} // namespace

state_writer::state_writer(storage::session_store& store, std::chrono::milliseconds silence_max)
    : store_(store)
    , silence_max_(silence_max)
    , thread_([this] { run(); }) {
    ::pthread_setname_np(thread_.native_handle(), "fb-state-store");
}

state_writer::~state_writer() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void state_writer::submit(core::shard_id shard, core::persist_batch batch) {
    const std::size_t bytes = size_of(batch);
    waiting_bytes_.fetch_add(bytes, std::memory_order_relaxed);
    bool wake = false;
    {
        const std::lock_guard lock(mutex_);
        wake = queue_.empty() || (batch.urgent && !urgent_);
        if (queue_.empty()) lazy_since_ = std::chrono::steady_clock::now();
        urgent_ |= batch.urgent;
        queue_.push_back({shard, bytes, std::move(batch)});
        judge();
    }
    if (wake) wake_.notify_one();
}

std::pair<bool, std::string> state_writer::health() const {
    const std::lock_guard lock(mutex_);
    std::string now = trouble();
    if (now.empty()) return {true, "writing"};
    if (refusing()) now += "; what would have to be stored is refused";
    return {false, std::move(now)};
}

bool state_writer::behind() {
    if (waiting_bytes() <= waiting_bytes_high || refusing()) return false;
    const std::lock_guard lock(mutex_);
    judge(); // nobody is read from, so nobody else does it
    return !refusing();
}

/// Empty: well. Under the mutex.
std::string state_writer::trouble() const {
    const auto now = std::chrono::steady_clock::now();
    if (!trouble_.empty() || !asked_at_ || now - *asked_at_ < silence_max_) return trouble_;
    return "the disk has not answered for " +
           std::to_string(std::chrono::duration_cast<std::chrono::seconds>(now - *asked_at_).count()) + " s";
}

/// Under the mutex.
void state_writer::judge() {
    if (refusing() || waiting_bytes() <= refused_above_bytes) return;
    if (const std::string why = trouble(); !why.empty()) refuse(true, why);
}

/// Under the mutex.
void state_writer::refuse(bool on, const std::string& why) {
    if (refusing_.exchange(on, std::memory_order_relaxed) == on) return;
    if (on) {
        spdlog::error("state store: {}; {} MiB wait for it, so what would have to be stored is refused until it can be "
                      "written again; everything else goes on",
                      why, waiting_bytes() >> 20);
    }
    if (refusing_changed_) refusing_changed_(on);
}

void state_writer::run() {
    for (std::vector<item> taken; wait_for_work(taken) && commit(taken);) taken.clear();
}

/// False when stopping and nothing is left.
bool state_writer::wait_for_work(std::vector<item>& taken) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (!urgent_ && !stopping_)
        wake_.wait_until(lock, lazy_since_ + lazy_delay, [this] { return stopping_ || urgent_; });
    if (queue_.empty()) return false;
    taken.swap(queue_);
    urgent_ = false;
    return true;
}

/// False when it gave up: nothing later may be written then.
bool state_writer::commit(std::vector<item>& taken) {
    const core::instant now = net::time_now();
    passing_deliveries passing;
    for (const item& i : taken) passing.look_at(i.batch);
    std::vector<storage::session_operation> operations;
    for (item& i : taken) {
        for (const auto& op : i.batch.operations) {
            if (!passing.cover(op)) operations.push_back(to_storage(op, now));
        }
        i.batch.operations = {}; // not twice in memory while the store refuses
    }
    if (!operations.empty()) {
        if (!apply(operations)) return false;
        commits_.fetch_add(1, std::memory_order_relaxed);
        operations_.fetch_add(operations.size(), std::memory_order_relaxed);
    }
    for (const item& i : taken) waiting_bytes_.fetch_sub(i.bytes, std::memory_order_relaxed);
    for (auto at = taken.begin(); at != taken.end(); ++at) { // the last serial of each shard says it all
        const bool later = std::any_of(at + 1, taken.end(), [&](const item& i) { return i.shard == at->shard; });
        if (!later && committed_) committed_(at->shard, at->batch.serial);
    }
    return true;
}

bool state_writer::apply(const std::vector<storage::session_operation>& operations) {
    auto pause = retry_first;
    std::optional<std::chrono::steady_clock::time_point> give_up; // set when it is time to stop
    for (;;) {
        {
            const std::lock_guard lock(mutex_);
            asked_at_ = std::chrono::steady_clock::now();
        }
        const auto done = store_.apply(operations);
        std::unique_lock lock(mutex_);
        asked_at_.reset();
        if (done) {
            if (!trouble_.empty() || refusing()) spdlog::info("state store: writing again");
            trouble_.clear();
            refuse(false, {});
            return true;
        }
        if (trouble_.empty()) // once: the next file that fails is no news
            spdlog::error("state store: {}; acknowledgements wait until it can be written again", done.err().text);
        trouble_ = done.err().text;
        judge();
        if (!stopping_) {
            wake_.wait_for(lock, pause, [this] { return stopping_; });
            pause = std::min(pause * 2, retry_most);
            continue;
        }
        const auto now = std::chrono::steady_clock::now();
        if (!give_up) give_up = now + stop_patience;
        if (now >= *give_up) {
            spdlog::error("state store: stopped with {} operations not written", operations.size());
            return false;
        }
        lock.unlock();
        std::this_thread::sleep_for(retry_first);
    }
}

} // namespace fb::app
