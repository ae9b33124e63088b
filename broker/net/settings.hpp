// What the executable tells the network side: listeners, and the hooks through which a shard reaches the rest of the
// program.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/core/engine.hpp"
#include "broker/net/network_prefix.hpp"
#include "broker/net/websocket_upgrade.hpp"
#include "certs/tls_context.hpp"

namespace fb::net {

struct listener_settings {
    std::string host;
    std::uint16_t port = 0;                      // 0: any free one
    std::string unix_path;                       // not empty: a Unix socket instead of host and port
    unsigned unix_mode = 0660;                   // who may connect to it
    std::shared_ptr<certs::tls_context> tls;     // null: plain
    std::optional<websocket_settings> websocket; // MQTT comes in WebSocket frames
    bool proxy_protocol = false;                 // a PROXY header comes first and says who the peer is
    std::vector<network_prefix> proxy_from;      // who may send one; empty: anybody
    bool allow_anonymous = false;                // admit peers without a certificate
    bool identity_from_client_id = false;        // for trying things: a client id names a device
};

struct broker_settings {
    std::vector<listener_settings> listeners;
    core::engine_config engine;             // shard and seed are set per shard
    std::vector<std::string> local_filters; // what the in-process client subscribes to, QoS 2
    std::string version;                    // of the program, for $SYS
    std::uint32_t sys_interval_s = 10;      // between two looks at $SYS's values; 0: no $SYS
    unsigned handshake_threads = 2;
    // Per shard. Steps with the handshake pool: above it nobody is accepted until some end, which is soon.
    std::uint32_t handshakes_max = 256;
    // Connections without a complete CONNECT: above it a new one takes the place of the one that has kept us waiting
    // longest, so that callers who say nothing shut nobody out.
    std::uint32_t pending_max = 1024;
};

/// Called on shard threads; must hand over and return. `behind` may be empty: true while more has been handed to
/// `persist` than memory should hold, which stops reading from everybody.
struct broker_hooks {
    std::function<void(core::shard_id, core::persist_batch)> persist;
    std::function<bool()> behind;
    std::function<void(core::local_delivery&&)> on_local;
    std::function<void(core::peer_event&&)> on_peer;
};

} // namespace fb::net
