// What can arrive in a shard's inbox.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "broker/core/crossing.hpp"
#include "broker/core/engine.hpp"
#include "broker/net/address_counts.hpp"
#include "broker/net/transport.hpp"

namespace fb::net {

/// A connection on the way to its home shard: everything it is, with the bytes read so far.
struct arrival {
    transport stream;
    address_lease address;
    core::connection_info info;
    std::string bytes;
};

struct handshake_step {
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;
    transport stream;
    tls_result result;
};

struct commit_notice {
    std::uint64_t serial = 0;
};

struct store_notice {
    bool refuses = false;
};

struct local_verdict {
    core::ack_token token;
    proto::reason_code reason{};
    std::string text;
};

/// A password or proof has been checked.
struct auth_answer {
    core::connection_handle connection;
    core::auth_verdict verdict;
};

/// What a session was restored without.
struct late_queue {
    core::session_handle session;
    std::vector<core::delivery> deliveries;
};

struct stop_request {};

/// The sender has said goodbye to its clients: nothing more comes from them.
struct peer_stopped {};

using shard_message =
    std::variant<core::crossing, arrival, handshake_step, commit_notice, store_notice, local_verdict,
                 core::local_publish, core::direct_delivery, auth_answer, late_queue, stop_request, peer_stopped>;

} // namespace fb::net
