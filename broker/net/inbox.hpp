// What other threads send to a shard: a list under a mutex, and an eventfd for a shard that sleeps.
//
// Any thread may push; one thread, the shard's, takes and sleeps. Never blocks beyond the short lock. More bytes than
// `high` mark the inbox as congested, which makes the shards stop reading from publishers.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <iterator>
#include <mutex>
#include <utility>
#include <vector>

namespace fb::net {

template <class Message>
class inbox {
  public:
    /// `wake` is called, on the sender's thread, when something arrives for a shard that sleeps.
    inbox(std::size_t high, std::function<void()> wake)
        : high_(high)
        , wake_(std::move(wake)) {}

    void push(Message m, std::size_t bytes) {
        arrive(bytes, [&] { messages_.push_back(std::move(m)); });
    }

    /// All of them, in their order; `batch` is empty afterwards and may have another's memory.
    void push_all(std::vector<Message>& batch, std::size_t bytes) {
        arrive(bytes, [&] {
            if (messages_.empty())
                messages_.swap(batch);
            else
                messages_.insert(messages_.end(), std::make_move_iterator(batch.begin()),
                                 std::make_move_iterator(batch.end()));
        });
        batch.clear();
    }

    /// Swaps everything that has arrived into `into`, which must be empty.
    void take(std::vector<Message>& into) {
        const std::lock_guard lock(mutex_);
        asleep_ = false;
        messages_.swap(into);
        bytes_.store(0, std::memory_order_relaxed);
    }

    /// The shard is about to wait, until take(): from now on an arrival wakes it. False: something has arrived already.
    bool sleep() {
        const std::lock_guard lock(mutex_);
        asleep_ = messages_.empty();
        return asleep_;
    }

    bool congested() const noexcept { return bytes_.load(std::memory_order_relaxed) > high_; }

  private:
    template <class Add>
    void arrive(std::size_t bytes, Add&& add) {
        bool wake = false;
        {
            const std::lock_guard lock(mutex_);
            add();
            bytes_.store(bytes_.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
            wake = std::exchange(asleep_, false);
        }
        if (wake) wake_();
    }

    const std::size_t high_;
    const std::function<void()> wake_;
    std::mutex mutex_; // protects messages_ and asleep_
    std::vector<Message> messages_;
    bool asleep_ = true;
    std::atomic<std::size_t> bytes_{0}; // written under the mutex
};

} // namespace fb::net
