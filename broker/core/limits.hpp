// Every bound of the broker in one place. Names end in their unit; counts have none. The config file has the same
// names.
#pragma once

#include <cstdint>

namespace fb::core {

struct limits {
    // What one packet may be.
    std::uint32_t packet_bytes_max = 4u << 20;          // any packet after CONNECT; told as Maximum Packet Size
    std::uint32_t connect_packet_bytes_max = 64u << 10; // the first packet, before anybody is known
    std::uint32_t topic_bytes_max = 1024;
    std::uint32_t topic_levels_max = 32;
    std::uint32_t user_properties_max = 64; // of one packet

    // What one client may hold.
    std::uint32_t subscriptions_max = 1000;     // per session
    std::uint16_t receive_maximum = 256;        // QoS 1 and 2 publications a client may have unacknowledged
    std::uint32_t pending_acks_max = 1024;      // owed to one client: above it nothing more is read from it
    std::uint16_t inflight_max = 256;           // the same towards the client (its own Receive Maximum may be lower)
    std::uint16_t topic_alias_in_max = 32;      // told as Topic Alias Maximum
    std::uint16_t topic_alias_out_max = 16;     // used towards a client that allows more
    std::uint32_t queued_messages_max = 10'000; // QoS 1 and 2 waiting in one session
    std::uint64_t queued_bytes_max = 32ull
                                     << 20;    // the same in bytes (topic, properties, payload), and as many in flight
    std::uint32_t backlog_messages_max = 1000; // QoS 0 waiting for a slow reader: the oldest goes
    std::uint32_t backlog_bytes_max = 1u << 20;
    std::uint32_t output_bytes_high = 256u << 10; // encoded and not yet sent: above it messages stay in their queues
    std::uint32_t output_bytes_max = 1u << 20;    // above it the client is not read from until it reads

    std::uint32_t authenticating_max = 1024; // clients at a time, per shard, whose password or proof is being checked

    // Time.
    std::uint32_t connect_timeout_s = 10;             // from accept to a complete CONNECT
    std::uint16_t keep_alive_max_s = 0;               // 0: the client's own; else told as Server Keep Alive
    std::uint32_t session_expiry_max_s = 0xFFFF'FFFF; // 0xFFFFFFFF: for ever
    std::uint32_t ack_wait_max_s = 10;                // a commit that takes longer ends the connection, not the session

    // What the process holds.
    std::uint64_t memory_bytes_max = 512ull << 20; // messages, queues and unsent output (memory_use.hpp); 0: no limit
    std::uint64_t spill_bytes_max = 4ull << 30;    // of messages in a file, beyond half of that; 0: never
    std::uint32_t connections_max = 100'000;       // over all shards
    std::uint32_t connections_per_address_max = 0; // 0: no such limit
    std::uint32_t sessions_max = 100'000;          // over all shards, connected or not
    std::uint32_t retained_messages_max = 1'000'000;
    std::uint64_t retained_bytes_max = 1ull << 30;
    std::uint32_t match_cache_entries_max = 4096; // topics per shard
};

} // namespace fb::core
