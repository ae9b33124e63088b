// The one writer of state.db: takes the shards' batches, commits them in groups, tells each shard how far it is
// durable.
//
// submit() may be called from any shard; `committed` is called on the writer's thread. A batch nobody waits for may be
// delayed by `lazy_delay`, to share a sync with others. When the disk refuses, the batch is tried again until it goes:
// nothing is dropped, nothing overtakes, and acknowledgements wait (the engines' ack_wait_max bounds that).
//
// What waits is bounded by two marks. Past the upper one nobody is read from (behind()): a disk that works catches up
// in a moment. One that fails, or has not answered for `silence_max`, does not, and past the lower mark `refusing` is
// called: the engines take in nothing more that would have to be stored, and everything else goes on.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "broker/core/clock.hpp"
#include "broker/core/handles.hpp"
#include "broker/core/persist.hpp"
#include "storage/session_store.hpp"

namespace fb::app {

class state_writer {
  public:
    using committed_function = std::function<void(core::shard_id, std::uint64_t serial)>;
    using refusing_function = std::function<void(bool)>;
    static constexpr std::size_t refused_above_bytes = 32 << 20; // while the store fails
    static constexpr std::size_t waiting_bytes_high = 64 << 20;

    explicit state_writer(storage::session_store& store,
                          std::chrono::milliseconds silence_max = std::chrono::seconds(3));
    ~state_writer(); // commits what was submitted (or gives up after `stop_patience`), then ends

    /// Before the first submit().
    void on_committed(committed_function f) { committed_ = std::move(f); }
    /// Told once when it begins and once when it ends, on any thread; must hand over and return.
    void on_refusing(refusing_function f) { refusing_changed_ = std::move(f); }
    void submit(core::shard_id shard, core::persist_batch batch);

    /// More waits than memory should hold, and will be written soon. Any thread.
    bool behind();
    bool refusing() const noexcept { return refusing_.load(std::memory_order_relaxed); }
    std::size_t waiting_bytes() const noexcept { return waiting_bytes_.load(std::memory_order_relaxed); }
    /// False with words while the store refuses.
    std::pair<bool, std::string> health() const;
    std::uint64_t commits() const noexcept { return commits_.load(std::memory_order_relaxed); }
    std::uint64_t operations() const noexcept { return operations_.load(std::memory_order_relaxed); }

  private:
    struct item {
        core::shard_id shard;
        std::size_t bytes; // about
        core::persist_batch batch;
    };
    void run();
    bool wait_for_work(std::vector<item>& taken);
    bool commit(std::vector<item>& taken);
    bool apply(const std::vector<storage::session_operation>& operations);
    std::string trouble() const;
    void judge();
    void refuse(bool on, const std::string& why);

    storage::session_store& store_;
    const std::chrono::milliseconds silence_max_;
    committed_function committed_;
    refusing_function refusing_changed_;
    std::atomic<std::uint64_t> commits_{0};
    std::atomic<std::uint64_t> operations_{0};
    std::atomic<std::size_t> waiting_bytes_{0}; // submitted and not committed
    std::atomic<bool> refusing_{false};         // changed under the mutex

    mutable std::mutex mutex_; // protects what follows
    std::condition_variable wake_;
    std::vector<item> queue_;
    bool urgent_ = false;
    bool stopping_ = false;
    std::string trouble_;                                           // what the store last said; empty: well
    std::optional<std::chrono::steady_clock::time_point> asked_at_; // while the store is busy with a commit
    std::chrono::steady_clock::time_point lazy_since_;
    std::thread thread_;
};

} // namespace fb::app
