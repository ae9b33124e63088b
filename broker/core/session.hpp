// The data of one session and of one connection, as plain structs. The rules are in the engine's session_*.cpp files.
// What an idle session does not use is not allocated.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "broker/core/authentication.hpp"
#include "broker/core/effects.hpp"
#include "broker/core/handles.hpp"
#include "broker/core/message.hpp"
#include "broker/core/output.hpp"
#include "broker/core/persist.hpp"
#include "broker/core/principal.hpp"
#include "broker/core/retained.hpp"
#include "broker/core/ring.hpp"
#include "broker/core/routing_index.hpp"
#include "broker/core/topic_aliases.hpp"
#include "proto/packets.hpp"

namespace fb::core {

struct subscription {
    std::string filter;
    proto::subscription_options options;
    std::uint32_t id = 0;
    share_member_ptr member{}; // of "$share/...": what the other shards see of us
};

/// The subscription identifiers that go along with a delivery: a part of a list that others may share.
struct id_range {
    id_list_ptr owner;
    std::uint32_t first = 0;
    std::uint32_t count = 0;
    const std::uint32_t* data() const noexcept { return count == 0 ? nullptr : owner->ids.data() + first; }
};

/// One message on its way to one session.
struct delivery {
    message_ptr message;
    id_range ids;
    share_group_ptr share;           // came through it: another member may get it instead
    std::uint64_t sequence = 0;      // order within the session, and the key in the state store
    std::uint64_t commit_serial = 0; // what comes next must wait for this commit; 0: nothing
    std::uint64_t send_number = 0;   // running number of packet ids handed out: tells whether ids may collide
    proto::packet_id id = 0;
    proto::qos quality = proto::qos::at_most_once;
    delivery_phase phase = delivery_phase::queued;
    bool retain = false;
    bool stored = false;     // has a row in the state store
    bool live_only = false;  // ends with the connection
    bool attempted = false;  // was sent before: the next PUBLISH carries DUP
    bool held = false;       // the PUBLISH or PUBREL that `phase` speaks of waits for commit_serial
    bool kept_apart = false; // its row is in another shard's hands and not committed yet: it waits, and all behind it
};

/// What a new subscription still gets of the retained messages.
struct retained_replay {
    retained_walk walk;
    proto::subscription_options options;
    id_range ids;
    std::vector<message_ptr> found; // by the last step
    std::size_t next = 0;           // of `found`
    bool fresh = false;             // nothing has happened since that step
};

/// An acknowledgement from the client of something that the state store still has.
struct early_ack {
    proto::packet_type type{};
    proto::packet_id id = 0;
    proto::reason_code reason{};
};

struct outgoing {
    ring<delivery> inflight;              // in the order sent: redelivery keeps it (v5[MQTT-4.6.0-1])
    ring<delivery> waiting;               // QoS 1 and 2, for a free place in the window or for the client to come back
    ring<delivery> backlog;               // QoS 0, for a slow reader
    std::vector<retained_replay> replays; // go on when nothing else waits
    bool replaying = false;
    std::vector<early_ack> early;
    std::uint64_t inflight_bytes = 0;
    std::uint64_t waiting_bytes = 0;
    std::uint64_t backlog_bytes = 0;
    std::uint64_t sends = 1ull << 20; // above 65535 from the start: restored deliveries count as old
    proto::packet_id next_id = 1;
    std::uint32_t unread = 0; // messages, about, that the state store still has

    /// The state store still has what was queued before: a delivery without a message stands in its place, and holds
    /// back what is behind it.
    bool has_gap() const noexcept { return !waiting.empty() && !waiting.front().message; }
};

/// An acknowledgement owed to the client. They leave in arrival order; each waits for all its parts.
struct pending_ack {
    proto::packet_type type{};
    proto::packet_id id = 0;
    proto::reason_code reason = proto::reason_code::success;
    std::uint16_t parts = 0;  // other shards and the in-process client
    std::uint32_t number = 0; // for ack_token
    std::uint64_t epoch = 0;  // for ack_token: of the connection the packet came with
    std::uint64_t serial = 0; // own commit to wait for; 0: none
    std::int64_t since_ms = 0;
    std::vector<proto::reason_code> reasons; // of SUBACK and UNSUBACK
    std::string text;                        // reason string
    std::string_view limit;                  // explanation::limit
    bool marks_received = false;             // PUBREC: its packet id is in incoming::received
    bool record_received = false;            // PUBREC: the id is to be stored once all parts are there
};

struct incoming {
    std::vector<proto::packet_id> received; // QoS 2 ids between PUBLISH and PUBREL, sorted
    std::vector<proto::packet_id> stored;   // those the state store was given and not yet told to forget
    ring<pending_ack> acks;
    std::vector<pending_ack> unfinished; // PUBRECs whose connection ended; taken up when the PUBLISH comes again. One
                                         // per id in `received` at most
    std::uint32_t next_ack = 1;
};

struct session_will {
    message_ptr message; // its expires_mono_ms is relative until it is published
    std::uint32_t delay_s = 0;
    std::int64_t due_ms = never; // armed after the connection ended
};

struct session {
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;  // of the slot
    bool live = false;             // a free slot otherwise
    std::uint32_t share_count = 0; // subscriptions that are shared
    share_state state = share_state::offline;
    std::uint64_t number = 0;    // in the state store, never reused
    std::uint64_t publisher = 0; // publisher_of(client_id)
    std::string client_id;
    std::string identity;
    principal_ptr who;
    proto::version protocol = proto::version::v5;
    std::uint32_t expiry_s = 0;
    std::uint64_t epoch = 0;
    std::uint64_t last_sequence = 0; // of deliveries
    connection_handle connection;    // none while offline
    std::int64_t ends_at_ms = never;
    std::vector<subscription> subscriptions;
    std::unique_ptr<outgoing> out;
    std::unique_ptr<incoming> in;
    std::unique_ptr<session_will> will;

    bool durable() const noexcept { return expiry_s != 0; }
    bool online() const noexcept { return bool(connection); }
};

enum class connection_phase : std::uint8_t { free, awaiting_connect, authenticating, connected, closing };

/// What the transport knows of a peer when it opens a connection.
struct connection_info {
    principal_ptr who;
    std::string address;                  // textual, without port
    bool refuse_all = false;              // has no certificate, and nobody is admitted anonymously
    bool identity_from_client_id = false; // the listener's device_identity = "client-id"
};

/// Of a client that proves who it is; with enhanced authentication kept for as long as the connection lasts.
struct authentication {
    std::string method;                      // empty: user name and password
    std::shared_ptr<auth_exchange> exchange; // while one goes on
    std::string connect_packet;              // until it can be answered
    std::string answer;                      // authentication data for CONNACK
    principal_ptr who;                       // as it was proved
    std::int64_t ends_ms = never;            // when authenticating again must be done
    bool stepping = false;                   // the world is busy with a step
};

struct connection {
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;
    std::uint32_t session_slot = 0;
    connection_phase phase = connection_phase::free;
    proto::version protocol = proto::version::v5;
    bool touched = false;
    bool paused = false;          // receive() stopped with bytes left: effects.resumed will say when to go on
    bool connack_pending = false; // waits for a commit; nothing else is read before
    bool problem_information = true;
    std::uint16_t send_window = 65535;  // the client's Receive Maximum, or ours
    std::uint16_t received_before = 0;  // QoS 2 ids of earlier connections: not part of this one's Receive Maximum
    std::uint32_t packet_bytes_max = 0; // the client's Maximum Packet Size
    std::uint32_t keep_alive_ms = 0;    // one and a half times the interval; 0: off
    bool publishes = false;             // has sent a PUBLISH
    std::int64_t held_since_ms = never; // not read because memory is overfull
    std::int64_t opened_ms = 0;
    std::int64_t last_read_ms = 0;
    std::int64_t last_written_ms = 0;
    connection_info info;
    std::unique_ptr<output_buffer> output;
    std::unique_ptr<inbound_aliases> aliases_in;
    std::unique_ptr<outbound_aliases> aliases_out;
    std::unique_ptr<authentication> auth;
};

} // namespace fb::core
