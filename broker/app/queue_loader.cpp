#include "broker/app/queue_loader.hpp"

#include <chrono>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include "broker/app/state_records.hpp"
#include "broker/net/time_now.hpp"

namespace fb::app {
namespace {

constexpr std::chrono::seconds retry_after{1};

std::uint64_t key_of(const core::session_handle& s) { return std::uint64_t{s.shard} << 32 | s.slot; }

} // namespace

queue_loader::queue_loader(storage::redo::redo_store& store, std::vector<late_session> sessions, hooks h)
    : store_(store)
    , sessions_(std::move(sessions))
    , hooks_(std::move(h))
    , taken_(sessions_.size())
    , left_(sessions_.size())
    , was_wanted_(sessions_.size()) {
    for (std::size_t i = 0; i < sessions_.size(); ++i) by_handle_.emplace(key_of(sessions_[i].handle), i);
    thread_ = std::thread([this] { run(); });
}

void queue_loader::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    if (thread_.joinable()) thread_.join();
}

void queue_loader::wanted(const core::session_handle& session) {
    if (left() == 0) return;
    const auto at = by_handle_.find(key_of(session));
    if (at == by_handle_.end()) return;
    const std::lock_guard lock(mutex_);
    if (was_wanted_[at->second]) return;
    was_wanted_[at->second] = true;
    wanted_.push_back(at->second);
}

void queue_loader::run() {
    ::pthread_setname_np(::pthread_self(), "fb-queues");
    const bool all = retry("bringing in the log", [this] { return store_.prepare_queues(); }) && load_all();
    messages_ = {};
    if (!all) return store_.give_up_loading();
    if (const auto ended = store_.end_loading(); !ended) spdlog::warn("state.db: cleaning up: {}", ended.err().text);
    if (!sessions_.empty()) spdlog::info("state.db: all queues read, {} messages", deliveries_);
}

/// False: stopping, or damaged.
bool queue_loader::load_all() {
    while (const late_session* s = next()) {
        if (!retry("reading a queue", [&] { return load(*s); })) return false;
        left_.fetch_sub(1, std::memory_order_relaxed);
    }
    return left() == 0;
}

/// Until it succeeds. False: it never will.
bool queue_loader::retry(const char* what, const std::function<storage::status()>& step) {
    for (bool told = false;; told = true) {
        const auto done = step();
        if (done) return true;
        if (!told) spdlog::error("state.db: {}: {}", what, done.err().text);
        if (done.err().kind == storage::error_kind::corrupt) {
            hooks_.damaged();
            return false;
        }
        std::unique_lock lock(mutex_);
        if (wake_.wait_for(lock, retry_after, [this] { return stopping_; })) return false;
    }
}

const late_session* queue_loader::next() {
    const std::lock_guard lock(mutex_);
    if (stopping_) return nullptr;
    std::size_t chosen = sessions_.size();
    while (!wanted_.empty() && chosen == sessions_.size()) {
        if (!taken_[wanted_.front()]) chosen = wanted_.front();
        wanted_.pop_front();
    }
    while (next_ < sessions_.size() && taken_[next_]) ++next_;
    if (chosen == sessions_.size()) chosen = next_;
    if (chosen == sessions_.size()) return nullptr;
    taken_[chosen] = true;
    return &sessions_[chosen];
}

storage::status queue_loader::load(const late_session& s) {
    const core::instant now = net::time_now();
    std::vector<core::delivery> queue;
    const auto read = store_.load_queue(s.number, [&](storage::queue_record q, const storage::message_record& m) {
        auto& known = messages_[m.id];
        if (!known) known = to_message(m, q.retain, now, hooks_.space());
        queue.push_back(to_delivery(q, known));
    });
    if (!read) return read;
    deliveries_ += queue.size();
    hooks_.restore(s.handle, std::move(queue));
    return storage::done{};
}

} // namespace fb::app
