// The second part of a start: while everybody is served already, the queues of the sessions are read from the state
// store and handed to their shards, those of clients that have come first.
//
// A thread of its own, from the constructor to the end of the last queue. A message that several sessions have queued
// is in memory once. What the store refuses is tried again; a store that turns out to be damaged is told once.
#pragma once

#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "broker/core/engine.hpp"
#include "storage/redo/redo_store.hpp"

namespace fb::app {

struct late_session {
    std::uint64_t number = 0;
    core::session_handle handle;
};

class queue_loader {
  public:
    struct hooks {
        std::function<core::message_space*()> space; // where the next message is to lie
        std::function<void(const core::session_handle&, std::vector<core::delivery>)> restore;
        std::function<void()> damaged;
    };
    queue_loader(storage::redo::redo_store& store, std::vector<late_session> sessions, hooks h);
    ~queue_loader() { stop(); }

    /// After the queue at hand; the rest stays in the store.
    void stop();

    /// Its client is here. Any thread.
    void wanted(const core::session_handle& session);
    /// Queues not read yet. Any thread.
    std::size_t left() const noexcept { return left_.load(std::memory_order_relaxed); }

  private:
    void run();
    bool load_all();
    bool retry(const char* what, const std::function<storage::status()>& step);
    const late_session* next();
    storage::status load(const late_session& s);

    storage::redo::redo_store& store_;
    const std::vector<late_session> sessions_;
    const hooks hooks_;
    boost::unordered_flat_map<std::uint64_t, std::size_t> by_handle_; // index in sessions_

    // Of the thread.
    std::vector<bool> taken_;
    std::size_t next_ = 0;
    boost::unordered_flat_map<std::uint64_t, core::message_ptr> messages_;
    std::size_t deliveries_ = 0;

    std::atomic<std::size_t> left_;
    std::mutex mutex_; // protects what follows
    std::condition_variable wake_;
    std::deque<std::size_t> wanted_; // each session once
    std::vector<bool> was_wanted_;
    bool stopping_ = false;
    std::thread thread_;
};

} // namespace fb::app
