// How much memory the messages, queues and unsent output of this process take: what memory_bytes_max is compared with.
// Sessions, subscriptions and connections are not in it; they have bounds of their own.
//
// Every thread counts for itself and passes on what it has gathered now and then, so that counting costs the hot path
// nothing that other threads notice: the sum is right to within slack_bytes for each thread there is or was. Any
// thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace fb::core {

namespace memory_use {
constexpr std::int64_t slack_bytes = 64 << 10;
constexpr std::size_t block_overhead_bytes = 16; // of one allocation, about

inline std::atomic<std::int64_t> passed_on{0};
inline thread_local std::int64_t gathered = 0;
} // namespace memory_use

inline void count_memory(std::int64_t bytes) noexcept {
    using namespace memory_use;
    gathered += bytes;
    if (gathered < slack_bytes && gathered > -slack_bytes) return;
    passed_on.fetch_add(gathered, std::memory_order_relaxed);
    gathered = 0;
}

/// In bytes.
inline std::int64_t memory_in_use() noexcept {
    return std::max<std::int64_t>(0, memory_use::passed_on.load(std::memory_order_relaxed));
}

/// Compared with memory_bytes_max. Beyond
/// - half of it, new messages go to the message_space, if there is one;
/// - all of it, nothing more is queued for sessions that are away, slow readers get shorter queues;
/// - an eighth more, publishers are not read until it is below memory_bytes_max again.
enum class memory_level : std::uint8_t { normal, spilling, full, overfull };

/// `in_use`: as memory_in_use() tells it. `bytes_max` 0: no limit.
constexpr memory_level memory_level_of(std::int64_t in_use, std::uint64_t bytes_max) noexcept {
    const auto bytes = static_cast<std::uint64_t>(in_use);
    if (bytes_max == 0 || bytes <= bytes_max / 2) return memory_level::normal;
    if (bytes <= bytes_max) return memory_level::spilling;
    return bytes <= bytes_max + bytes_max / 8 ? memory_level::full : memory_level::overfull;
}

/// std::allocator, counted.
template <class T>
struct counting_allocator {
    using value_type = T;

    counting_allocator() = default;
    template <class U>
    counting_allocator(const counting_allocator<U>&) noexcept {}

    T* allocate(std::size_t n) {
        T* const out = std::allocator<T>().allocate(n);
        count_memory(static_cast<std::int64_t>(n * sizeof(T)));
        return out;
    }
    void deallocate(T* at, std::size_t n) noexcept {
        count_memory(-static_cast<std::int64_t>(n * sizeof(T)));
        std::allocator<T>().deallocate(at, n);
    }
    template <class U>
    bool operator==(const counting_allocator<U>&) const noexcept {
        return true;
    }
};

} // namespace fb::core
