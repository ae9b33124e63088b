// The complete list of what an engine asks of the world. It fills these lists during a turn; the shell takes them when
// the turn ends, acts, and clears them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/authentication.hpp"
#include "broker/core/crossing.hpp"
#include "broker/core/handles.hpp"
#include "broker/core/persist.hpp"
#include "broker/core/principal.hpp"

namespace fb::core {

/// Why a connection ends, for the log and the counters.
enum class close_cause : std::uint8_t {
    client_disconnect,  // DISCONNECT received
    transport,          // the peer or the network ended it
    protocol_violation, // malformed packet or protocol error
    refused,            // CONNECT was refused
    connect_timeout,
    keep_alive_timeout,
    taken_over,
    not_durable,   // an acknowledgement waited too long for its commit
    overload,      // a bound was exceeded
    store_refuses, // the state store fails, and too much waits for it already
    server_stop,
};
const char* to_string(close_cause cause) noexcept;

/// Send what is still in the output if that is possible without waiting long, then close and report closed().
struct close_request {
    connection_handle connection;
    close_cause cause{};
    std::string client_id; // for the log; as offered where CONNECT was refused; may be empty
    std::string address;   // of the peer, for the log
    std::string detail;    // what exactly, in words
};

/// Which connection of which session, for the in-process client.
struct peer_reference {
    session_handle session;
    std::uint64_t epoch = 0; // rises with every CONNECT on this shard
    principal_ptr who;
    std::string client_id;
    std::string address;
};

/// A publication that matches a subscription of the in-process client. `token` is answered with on_local_verdict.
struct local_delivery {
    std::uint64_t order = 0; // among local deliveries and peer events of this shard
    peer_reference from;
    message_ptr message;
    ack_token token;
};

struct peer_event {
    enum class kind : std::uint8_t { connected, subscribed, unsubscribed, disconnected };
    std::uint64_t order = 0;
    kind what{};
    peer_reference peer;
    std::string filter; // of subscribed and unsubscribed
};

/// A publication that was not accepted, for the log.
struct publish_refusal {
    std::string client_id;
    std::string topic;
    std::string_view why; // static text
};

struct effects {
    std::vector<connection_handle> touched; // have new output: flush them
    std::vector<connection_handle> resumed; // may be read from again: call receive() with what is left
    std::vector<close_request> closes;
    std::vector<local_delivery> local;
    std::vector<peer_event> peers;
    std::vector<publish_refusal> refusals;
    std::vector<auth_step> auth; // take the step outside the shard, then on_auth_verdict()
    std::uint64_t next_order = 0;
    // Operations to keep are taken with engine::take_persist(); crossings leave through crossing_port.

    void clear() {
        touched.clear();
        resumed.clear();
        closes.clear();
        local.clear();
        peers.clear();
        refusals.clear();
        auth.clear();
    }
};

} // namespace fb::core
