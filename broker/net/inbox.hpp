// What other threads send to a shard: a list under a mutex and an eventfd that wakes the shard once per batch.
//
// Any thread may push; one thread, the shard's, waits and takes. Never blocks beyond the short lock. More bytes than
// `high` mark the inbox as congested, which makes the shards stop reading from publishers.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>
#include <vector>

namespace fb::net {

template <class Message>
class inbox {
  public:
    /// `wake` is called, on the sender's thread, when the first message of a batch arrives.
    inbox(std::size_t high, std::function<void()> wake)
        : high_(high)
        , wake_(std::move(wake)) {}

    void push(Message m, std::size_t bytes) {
        bool first = false;
        {
            const std::lock_guard lock(mutex_);
            first = messages_.empty();
            messages_.push_back(std::move(m));
            bytes_.store(bytes_.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
        }
        if (first) wake_();
    }

    /// Swaps everything that has arrived into `into`, which must be empty.
    void take(std::vector<Message>& into) {
        const std::lock_guard lock(mutex_);
        messages_.swap(into);
        bytes_.store(0, std::memory_order_relaxed);
    }

    bool congested() const noexcept { return bytes_.load(std::memory_order_relaxed) > high_; }

  private:
    const std::size_t high_;
    const std::function<void()> wake_;
    std::mutex mutex_; // protects messages_
    std::vector<Message> messages_;
    std::atomic<std::size_t> bytes_{0}; // written under the mutex
};

} // namespace fb::net
