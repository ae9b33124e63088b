// One shard's whole broker state as a value: events and time come in, effects go out. No socket, no thread, no clock.
//
// The public functions below `Events` are the complete list of what can happen; effects.hpp, take_persist() and
// crossing_port are the complete list of what is asked of the world. They are functions and not one variant because
// receive() is the hot path; each may be called in any order, with stale handles too.
//
// Lives on one shard's thread. The routing index, the retained store and the counts are shared with other shards.
//
// Invariants:
// (1) A session lives on the shard home_shard(client id) for ever.
// (2) Acknowledgements leave in the order their packets arrived; each waits for all its parts.
// (3) An acknowledgement of something that must be kept leaves after on_committed() of the batch that holds it.
// (4) Every queue has a bound in limits.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/acl.hpp"
#include "broker/core/clock.hpp"
#include "broker/core/counters.hpp"
#include "broker/core/crossing.hpp"
#include "broker/core/effects.hpp"
#include "broker/core/explanation.hpp"
#include "broker/core/limits.hpp"
#include "broker/core/match_cache.hpp"
#include "broker/core/memory_use.hpp"
#include "broker/core/message_space.hpp"
#include "broker/core/put_off.hpp"
#include "broker/core/retained.hpp"
#include "broker/core/ring.hpp"
#include "broker/core/session.hpp"
#include "broker/core/timers.hpp"
#include "proto/decode.hpp"
#include "proto/encode.hpp"

namespace fb::core {

/// Which durability a publish has: the longest filter that matches decides, else `otherwise` where a persistent session
/// or the retained store must keep the message, else none.
struct durability_rule {
    std::string filter;
    durability value{};
};

struct engine_config {
    shard_id shard = 0;
    shard_id shard_count = 1;
    core::limits limits;
    core::acl acl;
    std::vector<durability_rule> durability_rules;
    durability otherwise = durability::strict;
    /// Decides what a client id must look like to name a device (identity_from_client_id).
    std::function<bool(std::string_view)> valid_device_id;
    std::shared_ptr<const authenticator> authentication; // null: certificates only
    bool accept_mqtt_31 = false;                         // old devices
    std::string server_reference;      // where MQTT 5 clients go that find no room here; empty: nowhere
    bool server_moved = false;         // everybody is to go there
    bool check_payload_format = false; // a payload that says it is UTF-8 must be
    std::uint64_t seed = 1;            // of assigned client ids
    message_space* spill = nullptr;    // for messages when memory runs short; outlives the engine
};

struct shared_state {
    routing_index& index;
    core::retained& retained;
    shared_counts& counts;
};

/// What the state store still has of a session's queue.
struct unread_queue {
    std::uint64_t last_sequence = 0;
    std::uint32_t messages = 0; // about
};

/// A session as the state store gave it back.
struct restored_session {
    std::uint64_t number = 0;
    std::string client_id;
    std::string identity;
    proto::version protocol{};
    std::uint32_t expiry_s = 0;
    std::int64_t ended_unix_ms = 0;
    message_ptr will;
    std::uint32_t will_delay_s = 0;
    std::vector<subscription> subscriptions;
    std::vector<delivery> queue;        // by sequence; ids and phases as stored
    std::optional<unread_queue> unread; // instead of `queue`, which restore_queue() brings later
    std::vector<proto::packet_id> received;
};

/// What the in-process client publishes.
struct local_publish {
    std::string topic;
    std::string payload;
    proto::qos quality = proto::qos::at_least_once;
    std::uint32_t expiry_s = 0; // 0: none
};

/// To one known session, outside routing: only if it is still that connection. Falls back to a live publish when the
/// session holds no subscription that matches (the asker may read with another connection).
struct direct_delivery {
    session_handle to;
    std::uint64_t epoch = 0;
    std::string topic;
    std::string payload;
    std::string properties; // forward block
};

/// The shard a client id lives on. Stable within a process.
shard_id home_shard(std::string_view client_id, shard_id shard_count) noexcept;

/// Where the connection whose first packet this is belongs: its home shard, or nothing when any shard may answer (the
/// packet is bad, or the client id is to be assigned).
std::optional<shard_id> route_connect(const proto::frame& first, shard_id shard_count);

class engine {
  public:
    engine(engine_config config, shared_state shared, crossing_port& crossings, effects& out);
    ~engine();
    engine(const engine&) = delete;
    engine& operator=(const engine&) = delete;

    // --- Events ---

    connection_handle open(connection_info info, const instant& now);
    /// Takes the packets at the front of `bytes`; returns how many bytes it is done with. What is left is to be given
    /// again with more behind it, unless paused(): then not before effects.resumed names the connection.
    std::size_t receive(connection_handle c, std::string_view bytes, const instant& now);
    /// `count` bytes of the output were sent.
    void written(connection_handle c, std::size_t count, const instant& now);
    /// The peer broke the rules of what carries MQTT: it is sent away like one that breaks MQTT's.
    void broken(connection_handle c, const proto::decode_error& why, const instant& now);
    /// The transport is gone: always called last, also after a close_request.
    void closed(connection_handle c, const instant& now);

    void on_crossed(crossing what, const instant& now);
    void on_committed(std::uint64_t serial, const instant& now);
    /// `refuses`: it fails, and too much waits for it already. What would have to be stored is refused until it does
    /// not.
    void on_store_state(bool refuses, const instant& now);
    void on_local_verdict(const ack_token& token, proto::reason_code reason, std::string_view text, const instant& now);
    /// The answer to effects.auth: one per step.
    void on_auth_verdict(connection_handle c, const auth_verdict& v, const instant& now);
    void publish_live(const local_publish& p, const instant& now);
    /// A value of $SYS: retained in memory, QoS 0.
    void publish_system(std::string_view topic, std::string_view payload, const instant& now);
    void deliver(const direct_delivery& d, const instant& now);
    void on_time(const instant& now);
    /// DISCONNECT 0x8B to everybody; sessions are kept.
    void stop(const instant& now);

    /// At start, before any other event.
    session_handle restore(restored_session s, const instant& now);
    /// Before the first event, when anything was stored: numbers for what is new, above all that is in the state store.
    void number_from(std::uint64_t first_session, std::uint64_t first_message) noexcept;
    /// The queue that a session was restored without, once; at any time, and whatever became of the session meanwhile.
    void restore_queue(const session_handle& s, std::vector<delivery> queue, const instant& now);

    // --- Answers ---

    bool paused(connection_handle c) const;
    std::size_t output_size(connection_handle c) const;
    /// The bytes to be sent now; valid until the next event. Clears the connection's mark in effects.touched.
    std::size_t gather(connection_handle c, std::span<std::string_view> out);
    std::int64_t next_deadline_ms() const noexcept {
        return std::min(connection_deadlines_.next(), session_deadlines_.next());
    }
    /// The operations of this turn, if any; the next turn's get the next serial.
    bool take_persist(persist_batch& out);
    const counters& statistics() const noexcept { return counters_; }
    std::size_t session_count() const noexcept { return by_client_id_.size(); }

    /// For in-process subscriptions: all of them, made once at start through the routing index.
    static subscriber local_subscriber(proto::qos maximum);

  private:
    struct string_hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
    };
    /// Encodings of one publication that several subscribers can share, packet ids patched in.
    struct shared_encodings {
        struct one {
            std::string bytes; // the packet, or all of it up to the payload
            std::size_t id_at = 0;
            std::size_t packet_bytes = 0; // payload included
            bool payload_inside = false;
            bool made = false;
        };
        message_ptr of;
        std::int64_t made_at_ms = 0;
        std::array<one, 8> by_kind; // version 5, QoS > 0 (1 and 2 differ in the first byte only), retain
    };
    struct route_outcome {
        std::uint16_t parts = 0; // answers to wait for
        bool stored = false;     // something of this turn's batch must be committed first
        bool matched = false;
    };

    // engine.cpp: dispatch, time, lookup
    connection* find(connection_handle c);
    const connection* find(connection_handle c) const;
    session* find(const session_handle& s);
    session& session_of(connection& c) { return sessions_[c.session_slot]; }
    connection* connection_of(session& s) { return s.online() ? &connections_[s.connection.slot] : nullptr; }
    connection_handle handle_of(const connection& c) const;
    session_handle handle_of(const session& s) const;
    peer_reference reference_of(session& s) const;
    void dispatch(connection& c, const proto::frame& f);
    void violation(connection& c, const proto::decode_error& e);
    void disconnect(connection& c, proto::reason_code reason, close_cause cause, const explanation& why);
    void request_close(connection& c, close_cause cause, std::string_view detail);
    std::string& out(connection& c);
    output_buffer& buffer(connection& c);
    void touch(connection& c);
    bool must_pause(const connection& c);
    void resume_if_possible(connection& c);
    void connection_due(connection& c);
    void session_due(session& s);
    std::int64_t keep_alive_end_ms(const connection& c) const;
    std::int64_t ack_wait_end_ms(const pending_ack& a) const;
    std::string make_client_id(const connection& c);

    // restore.cpp
    void put_back(session& s, std::vector<delivery> queue);
    void keep_early(session& s, proto::packet_type type, proto::packet_id id, proto::reason_code reason);

    // pressure.cpp
    core::memory_level memory_level() const noexcept {
        return memory_level_of(memory_in_use(), config_.limits.memory_bytes_max);
    }
    std::size_t output_bytes_high() const noexcept;
    std::size_t backlog_messages_max() const noexcept;
    void hold_when_overfull(connection& c) {
        if (c.publishes && c.held_since_ms == never && memory_level() == memory_level::overfull) hold(c);
    }
    void hold(connection& c);
    bool look_at_held(connection& c);

    // session_connect.cpp
    void on_connect(connection& c, const proto::frame& f);
    void refuse_connect(connection& c, const proto::connect* p, proto::reason_code reason, const explanation& why);
    bool may_connect(connection& c, const proto::connect& p);
    void serve_connect(connection& c, const proto::connect& p);
    bool admit(connection& c, const proto::connect& p, std::string& client_id);
    std::uint32_t session_expiry_s(const proto::connect& p) const;
    void take_over(session& s);
    session& make_session(const proto::connect& p, std::string client_id, const connection& c);
    void attach(connection& c, session& s, const proto::connect& p);
    void accept_connect(connection& c, session& s, const proto::connect& p, bool present, bool assigned, bool wait);
    void begin_serving(connection& c, session& s);
    bool encode_connack(const connection& c, const session& s, const proto::connect& p, bool present, bool assigned,
                        std::string& to) const;
    void announce(session& s);

    // session_auth.cpp
    bool begin_authentication(connection& c, const proto::connect& p, const proto::frame& f);
    void take_auth_step(connection& c, std::string_view data);
    void on_auth(connection& c, const proto::frame& f);
    void refuse_authentication(connection& c, std::string_view text);
    void finish_authentication(connection& c, const auth_verdict& v);
    void finish_reauthentication(connection& c, const auth_verdict& v);
    void end_authentication(connection& c);
    void send_auth(connection& c, proto::reason_code reason, std::string_view data);

    // session_end.cpp
    void on_disconnect(connection& c, const proto::frame& f);
    void detach(connection& c, bool will_goes);
    void end_session(session& s);
    void publish_will(session& s);
    void arm_session_deadline(session& s);
    void persist_session(const session& s, bool urgent);

    // store_trouble.cpp
    bool must_be_stored(const session& from, const proto::publish& p);
    durability kept_as(const message& m, bool live_only, bool awaited) const;
    void refuse_to_store(connection& c);
    bool session_refused(connection& c, const session* known, const proto::connect& p);
    void hand_over_put_off_rows();

    // session_publish.cpp
    void on_publish(connection& c, const proto::frame& f);
    bool resolve_alias(connection& c, proto::publish& p);
    bool within_receive_maximum(connection& c, session& s, const proto::publish& p);
    explanation refusal(const principal& who, std::string_view topic, const proto::publish_properties& q,
                        std::string_view payload, proto::reason_code& reason) const;
    void publish_refused(connection& c, session& s, const proto::publish& p, proto::reason_code reason,
                         const explanation& why);
    message_ptr message_of(const session& s, const proto::publish& p);
    void accept_publish(connection& c, session& s, const proto::publish& p);
    void on_pubrel(connection& c, const proto::frame& f);

    // session_acks.cpp: acknowledgements owed to the client, and those it sends
    pending_ack& owe(session& s, proto::packet_type type, proto::packet_id id);
    void settle(connection& c, session& s);
    bool send_ack(connection& c, session& s, pending_ack& a);
    void part_finished(const ack_token& token, proto::reason_code reason, std::string_view text,
                       std::uint64_t serial = 0);
    void on_puback(connection& c, const proto::frame& f);
    void on_pubrec(connection& c, const proto::frame& f);
    void on_pubcomp(connection& c, const proto::frame& f);
    void hold_until_durable(session& s, pending_ack& a);
    void wait_for_commit(session& s);
    void wait_for_commit(session& s, std::uint64_t serial);
    void owe_pubrec_again(session& s, proto::packet_id id);
    void keep_unfinished(session& s);
    static bool erase_received(session& s, proto::packet_id id);
    void store_received(session& s, proto::packet_id id, bool urgent);
    bool unstore_received(session& s, proto::packet_id id, bool urgent);
    void forget_received(session& s, proto::packet_id id);

    // session_subscribe.cpp
    void on_subscribe(connection& c, const proto::frame& f);
    void on_unsubscribe(connection& c, const proto::frame& f);
    proto::reason_code subscribe_one(connection& c, session& s, const proto::topic_request& r, std::uint32_t id,
                                     explanation& why);
    bool too_many_user_properties(connection& c, const proto::user_properties& user);
    void enter_index(session& s, subscription& sub);
    void leave_index(session& s, const subscription& sub);
    void recheck_rights(session& s);
    void recheck_queue(session& s);

    // retained_replay.cpp: what a new subscription gets
    void send_retained(session& s, const subscription& sub);
    static void forget_replay(session& s, std::string_view filter);
    void replay_retained(connection& c, session& s);
    bool room_for_replay(const connection& c, const session& s, proto::qos quality) const;
    void deliver_retained(session& s, const retained_replay& r, const message_ptr& m);

    // routing.cpp: one publication to everybody who wants it
    message_ptr make_message(message_parts parts);
    void drop_expired_retained();
    route_outcome route(const message_ptr& m, session* from, const ack_token& token, bool live_only);
    void look_ahead(std::span<const match_entry> next) const;
    bool deliver_own(const message_ptr& m, const match_list& list, bool live_only, bool awaited);
    bool deliver_entry(const message_ptr& m, const match_list& list, const match_entry& e, bool live_only,
                       bool awaited);
    std::uint16_t cross(const message_ptr& m, const match_list_ptr& list, const ack_token& token, bool live_only,
                        bool own_too, bool together = false);
    void add_subscription_ids(const session& s, delivery& d) const;
    std::uint16_t deliver_local(const message_ptr& m, const match_list& list, session* from, const ack_token& token);
    durability durability_of(std::string_view topic) const;

    // one_commit.cpp: a QoS 2 message that several shards have to keep
    bool must_be_one_commit(const message& m, const session* from, const ack_token& token, bool live_only) const;
    void gather(const message_ptr& m, const match_list* own, std::uint16_t answers);
    void keep_apart(session& s, delivery& d);
    void give_rows(const routed& r);
    void rows_arrived(part_done p);
    void tell_gathered_committed();
    void release_kept_apart(std::uint64_t message);

    // shared_delivery.cpp: one message to one member of each shared subscription
    enum class share_result : std::uint8_t { refused, taken, stored };
    void deliver_shares(const message_ptr& m, const match_list& list, const ack_token& token, bool live_only,
                        route_outcome& result);
    bool give(share_routed r, const share_members& members, bool& away);
    share_result take_share(const share_routed& r);
    void on_share_routed(share_routed r);
    share_member_ptr choose(const share_routed& r, const share_members& members) const;
    void update_share_state(session& s);
    void hand_over_unsent(session& s);
    void hand_over_rest(session& s);
    void hand_over(const session& s, const delivery& d);
    bool queue_full(session& s, const message& m);

    // delivery.cpp: one message to one session
    outgoing& out_of(session& s);
    bool enqueue(session& s, delivery d, durability kept);
    void deliver_at_most_once(session& s, delivery d);
    void pump(session& s);
    bool window_open(const connection& c, const outgoing& o) const;
    void start_delivery(connection& c, session& s, delivery& d, bool row_is_new, bool urgent);
    static std::uint64_t serial_before(const session& s, const delivery& d);
    static persist::enqueue row_of(const session& s, const delivery& d);
    bool fits(const connection& c, const delivery& d) const;
    proto::publish_head head_of(const delivery& d) const;
    void append_publish(connection& c, delivery& d);
    void append_own_publish(connection& c, delivery& d);
    shared_encodings::one& shared_encoding(const connection& c, const delivery& d);
    static void take_packet_id(outgoing& o, delivery& d);
    void redeliver(connection& c, session& s);
    void send_pubrel(connection& c, proto::packet_id id);
    void release_held(session& s);
    void drop_row(session& s, const delivery& d);
    void finish(session& s, ring<delivery>::iterator inflight);

    template <class Operation>
    void persist(Operation op, bool urgent) {
        if (store_refuses_ && put_off_.take(op, urgent)) [[unlikely]]
            return;
        pending_persist_.urgent |= urgent;
        pending_persist_.operations.emplace_back(std::move(op));
    }
    bool committed(std::uint64_t serial) const noexcept { return serial <= committed_serial_; }

    const engine_config config_;
    shared_state shared_;
    crossing_port& crossings_;
    effects& effects_;
    counters counters_;
    match_cache cache_;
    instant now_;
    deadlines connection_deadlines_;
    deadlines session_deadlines_; // of those without connection
    output_pool buffers_;
    shared_encodings encodings_;
    std::string forward_block_; // of the PUBLISH at hand; its room is kept for the next
    std::mt19937_64 random_;

    std::deque<connection> connections_; // references stay valid while it grows
    std::vector<std::uint32_t> free_connections_;
    std::deque<session> sessions_;
    std::vector<std::uint32_t> free_sessions_;
    boost::unordered_flat_map<std::string, std::uint32_t, string_hash, std::equal_to<>> by_client_id_;
    std::uint64_t next_epoch_ = 1;
    std::uint64_t next_session_number_;
    std::uint64_t next_message_id_;

    persist_batch pending_persist_;
    std::uint64_t committed_serial_ = 0;
    bool store_refuses_ = false;
    put_off put_off_;
    /// Who goes on after which commit, in the order of serials.
    struct commit_waiter {
        std::uint64_t serial = 0;
        session_handle session; // with `remote`: unused
        ack_token remote;       // another shard's acknowledgement to tell
    };
    std::deque<commit_waiter> commit_waiters_;

    /// Of a message published here: the rows of all shards, until they are committed.
    struct gathering {
        std::uint16_t missing = 0; // answers
        std::uint64_t serial = 0;  // of the commit, once nothing is missing
        std::vector<shard_id> shards;
        std::vector<persist_operation> rows;
    };
    boost::unordered_flat_map<std::uint64_t, gathering> gathered_; // by message id
    std::deque<std::uint64_t> gathered_to_commit_;                 // the complete ones, in the order of serials
    /// Deliveries here whose rows are in such a gathering, perhaps another shard's.
    struct apart {
        session_handle session;
        stored_row row;
    };
    boost::unordered_flat_map<std::uint64_t, std::vector<apart>> kept_apart_; // by message id
    std::vector<persist_operation>* gather_ = nullptr; // while a message is delivered whose rows go there
    std::uint64_t own_crossings_ = 0;                  // sent to our own inbox and not back yet
    std::uint32_t authenticating_ = 0;                 // connections in that phase
    bool stopping_ = false;
};

} // namespace fb::core
