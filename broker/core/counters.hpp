// What happened, counted. Each shard's engine writes its own set (single writer); anybody may read.
#pragma once

#include <atomic>
#include <cstdint>

namespace fb::core {

/// A counter with one writing thread and any number of readers.
class counter {
  public:
    void add(std::uint64_t n = 1) noexcept {
        value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    void sub(std::uint64_t n = 1) noexcept { add(0 - n); }
    std::uint64_t get() const noexcept { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

struct counters {
    counter connections; // gauge: connections with an accepted CONNECT
    counter sessions;    // gauge
    counter connects_accepted;
    counter connects_refused;
    counter authentications_failed; // wrong user name, password or proof
    counter protocol_violations;
    counter publishes_received;
    counter publishes_sent;
    counter publishes_refused;   // by the ACL or a bound
    counter reports_refused;     // by the in-process client
    counter crossings_sent;      // to other shards
    counter dropped_slow_reader; // QoS 0 to a reader that is too slow
    counter dropped_queue_full;  // QoS 1 and 2 to a full session queue
    counter dropped_no_member;   // nobody of a shared subscription could take it
    counter dropped_expired;
    counter dropped_too_large; // larger than the client's Maximum Packet Size
    counter publishers_held;   // not read for a while, because memory is overfull
    counter retained_refused;  // the retained store is full
    counter store_refusals;    // of publications, subscriptions and sessions, while the state store fails
    counter takeovers;
    counter wills_published;
    counter sessions_expired;
    counter packets_received;
    counter packets_sent;
    counter bytes_received; // of whole packets
    counter bytes_sent;     // taken by the transport
};

/// Bounds over all shards.
struct shared_counts {
    std::atomic<std::uint32_t> connections{0};
    std::atomic<std::uint32_t> sessions{0};
};

} // namespace fb::core
