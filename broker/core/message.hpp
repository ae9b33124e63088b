// One immutable publication: topic, properties and payload in a single allocation, counted by reference over threads.
// It lies in memory, which memory_use.hpp counts, or in a message_space.
#pragma once

#include <atomic>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstdint>
#include <string_view>

#include "broker/core/clock.hpp"
#include "proto/types.hpp"

namespace fb::core {

class message;
class message_space;
using message_ptr = boost::intrusive_ptr<const message>;

/// Stands for a client id where messages are compared with their publisher (v5[MQTT-3.8.3-3]). It is stored with
/// messages: the same on every machine and in every version, below 2^63, never 0.
std::uint64_t publisher_of(std::string_view client_id) noexcept;

/// What a message is made of; the views are copied.
struct message_parts {
    std::string_view topic;
    std::string_view properties; // the block passed on unaltered (proto::append_forward_block)
    std::string_view payload;
    proto::qos quality = proto::qos::at_most_once;
    bool retain = false;
    std::int64_t expires_mono_ms = never; // when the Message Expiry Interval ends
    std::uint64_t publisher = 0;          // publisher_of(its client id), for no-local; 0 is nobody
    std::uint64_t id = 0;                 // within the state store
};

class message {
  public:
    /// In `space` if it is given and has room, else in memory. Throws std::bad_alloc.
    static message_ptr make(const message_parts& parts, message_space* space = nullptr);

    std::string_view topic() const noexcept { return {data(), topic_bytes_}; }
    std::string_view properties() const noexcept { return {data() + topic_bytes_, properties_bytes_}; }
    std::string_view payload() const noexcept { return {data() + topic_bytes_ + properties_bytes_, payload_bytes_}; }
    proto::qos quality() const noexcept { return quality_; }
    bool retain() const noexcept { return retain_; }
    std::int64_t expires_mono_ms() const noexcept { return expires_mono_ms_; }
    std::uint64_t publisher() const noexcept { return publisher_; }
    std::uint64_t id() const noexcept { return id_; }
    /// What it counts against byte budgets.
    std::size_t bytes() const noexcept { return topic_bytes_ + properties_bytes_ + payload_bytes_; }
    bool expired(std::int64_t mono_ms) const noexcept { return expires_mono_ms_ <= mono_ms; }

    message(const message&) = delete;
    message& operator=(const message&) = delete;

  private:
    message(const message_parts& parts, bool apart) noexcept;
    ~message() = default;

    const char* data() const noexcept { return reinterpret_cast<const char*>(this + 1); }
    friend void intrusive_ptr_add_ref(const message* m) noexcept {
        m->references_.fetch_add(1, std::memory_order_relaxed);
    }
    friend void intrusive_ptr_release(const message* m) noexcept;

    mutable std::atomic<std::uint32_t> references_{0};
    std::uint32_t properties_bytes_;
    std::uint32_t payload_bytes_;
    std::uint16_t topic_bytes_;
    proto::qos quality_;
    bool retain_ : 1;
    bool apart_ : 1; // in a message_space, whose address comes before the message
    std::int64_t expires_mono_ms_;
    std::uint64_t publisher_;
    std::uint64_t id_;
};

} // namespace fb::core
