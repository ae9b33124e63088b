// What the broker asks to be kept across restarts: operations in the order they happened, gathered per turn into a
// batch with a serial number. The executable hands batches to the state store and answers with
// engine::on_committed(serial).
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "broker/core/message.hpp"
#include "proto/packets.hpp"

namespace fb::core {

enum class durability : std::uint8_t {
    none,    // memory only
    batched, // acknowledged at once, committed soon
    strict,  // acknowledged after the commit
};

/// Where the delivery of one message to one session stands.
enum class delivery_phase : std::uint8_t {
    queued,   // not sent
    sent,     // PUBLISH sent, QoS 1: until PUBACK, QoS 2: until PUBREC
    released, // QoS 2: PUBREC seen, PUBREL sent, until PUBCOMP
};

namespace persist {

struct put_session {
    std::uint64_t number = 0;
    std::string client_id;
    std::string identity;
    proto::version protocol{};
    std::uint32_t expiry_s = 0;
    std::int64_t ended_unix_ms = 0; // 0: connected
    message_ptr will;               // null: none
    std::uint32_t will_delay_s = 0;
};
struct delete_session {
    std::uint64_t number = 0;
};
struct put_subscription {
    std::uint64_t session = 0;
    std::string filter;
    proto::subscription_options options;
    std::uint32_t subscription_id = 0;
};
struct delete_subscription {
    std::uint64_t session = 0;
    std::string filter;
};
struct enqueue {
    std::uint64_t session = 0;
    std::uint64_t sequence = 0;
    message_ptr message;
    proto::qos quality{};
    bool retain = false;
    proto::packet_id packet_id = 0;
    delivery_phase phase{};
    std::vector<std::uint32_t> subscription_ids;
};
struct set_delivery {
    std::uint64_t session = 0;
    std::uint64_t sequence = 0;
    proto::packet_id packet_id = 0;
    delivery_phase phase{};
};
struct dequeue {
    std::uint64_t session = 0;
    std::uint64_t sequence = 0;
};
struct put_received {
    std::uint64_t session = 0;
    proto::packet_id packet_id = 0;
};
struct delete_received {
    std::uint64_t session = 0;
    proto::packet_id packet_id = 0;
};
/// An empty payload clears the topic. `version` orders the writers of one topic.
struct put_retained {
    std::uint64_t version = 0;
    message_ptr message;
};

} // namespace persist

using persist_operation =
    std::variant<persist::put_session, persist::delete_session, persist::put_subscription, persist::delete_subscription,
                 persist::enqueue, persist::set_delivery, persist::dequeue, persist::put_received,
                 persist::delete_received, persist::put_retained>;

struct persist_batch {
    std::uint64_t serial = 0;
    bool urgent = false; // somebody waits for it; otherwise it may be delayed and joined with others
    std::vector<persist_operation> operations;
};

} // namespace fb::core
