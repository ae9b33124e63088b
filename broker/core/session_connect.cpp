// CONNECT: who may come in, with which session; take-over; CONNACK.
#include <algorithm>

#include "broker/core/engine.hpp"
#include "broker/core/wall_time.hpp"
#include "proto/rule.hpp"
#include "proto/topic.hpp"
#include "proto/utf8.hpp"

namespace fb::core {
namespace {

/// By default a client id is the device id or begins with "<device id>/" (fota.md section 1).
bool belongs_to_device(std::string_view client_id, std::string_view device_id) {
    return client_id == device_id || (client_id.size() > device_id.size() && client_id.starts_with(device_id) &&
                                      client_id[device_id.size()] == '/');
}

constexpr std::size_t client_id_bytes_max = 256;

/// Where a client may let answers come to: what it is told when it asks (v5 3.2.2.3.15). A device's lies where a device
/// may subscribe.
std::string response_base(const principal& who, const std::string& client_id) {
    if (who.is_device()) return "device/" + who.device_id + "/response";
    return client_id.find_first_of("+#") == client_id.npos ? "response/" + client_id : std::string();
}

} // namespace

void engine::on_connect(connection& c, const proto::frame& f) {
    const auto p = proto::decode_connect(f);
    if (!p) return violation(c, p.error());
    c.protocol = p->protocol;
    c.problem_information = p->properties.request_problem_information;
    c.packet_bytes_max = p->properties.maximum_packet_size;
    if (!may_connect(c, *p) || begin_authentication(c, *p, f)) return;
    serve_connect(c, *p);
}

/// The peer is known: the session it wants, and CONNACK.
void engine::serve_connect(connection& c, const proto::connect& p) {
    std::string client_id;
    if (!admit(c, p, client_id)) return;
    const bool assigned = p.client_id.empty();

    session* s = nullptr;
    const auto found = by_client_id_.find(client_id);
    if (rule<"v5[MQTT-3.1.3-2]", "v311[MQTT-3.1.3-2]">(found != by_client_id_.end())) s = &sessions_[found->second];
    if (s != nullptr && s->identity != c.info.who->identity()) {
        // Neither resumed nor ended: the session stays as it is (the classes of CVE-2026-33215 and nanomq#2333).
        shared_.counts.connections.fetch_sub(1, std::memory_order_relaxed);
        return refuse_connect(c, &p, proto::reason_code::not_authorized,
                              "the session of this client id belongs to another identity");
    }
    if (session_refused(c, s, p)) return;
    bool wait = false;
    if (s != nullptr && rule<"v5[MQTT-3.1.4-3]", "v311[MQTT-3.1.4-2]">(s->online())) {
        const session_handle before = handle_of(*s);
        take_over(*s);
        s = find(before); // gone if it was not to outlive its connection
    }
    if (s != nullptr &&
        rule<"v5[MQTT-3.1.2-4]", "v5[MQTT-3.1.4-4]", "v311[MQTT-3.1.2-6]", "v311[MQTT-3.1.4-3]">(p.clean_start)) {
        wait = s->durable();
        end_session(*s);
        s = nullptr;
    }
    const bool present =
        rule<"v5[MQTT-3.2.2-2]", "v5[MQTT-3.2.2-3]", "v311[MQTT-3.2.2-1]", "v311[MQTT-3.2.2-2]", "v311[MQTT-3.2.2-3]">(
            s != nullptr);
    if (rule<"v5[MQTT-3.1.2-5]", "v5[MQTT-3.1.2-6]", "v311[MQTT-3.1.2-4]">(s == nullptr)) {
        if (shared_.counts.sessions.load(std::memory_order_relaxed) >= config_.limits.sessions_max) {
            shared_.counts.connections.fetch_sub(1, std::memory_order_relaxed);
            return refuse_connect(c, &p, proto::reason_code::quota_exceeded,
                                  {"there is no room for another session", "sessions_max"});
        }
        s = &make_session(p, std::move(client_id), c);
    }
    attach(c, *s, p);
    accept_connect(c, *s, p, present, assigned, wait);
}

/// What needs not be known of the peer to be judged.
bool engine::may_connect(connection& c, const proto::connect& p) {
    using proto::reason_code;
    const auto refuse = [&](reason_code reason, const explanation& why) {
        refuse_connect(c, &p, reason, why);
        return false;
    };
    if (p.protocol == proto::version::v3_1 && !config_.accept_mqtt_31) {
        return refuse(reason_code::unsupported_protocol_version,
                      "MQTT 3.1 is not served (accept_mqtt_31 = false); use 3.1.1 or 5");
    }
    if (p.properties.user.count() > config_.limits.user_properties_max) { // CVE-2021-41039's class
        return refuse(reason_code::quota_exceeded,
                      {"more user properties than this gateway allows", "user_properties_max"});
    }
    if (stopping_) return refuse(reason_code::server_unavailable, "the gateway is stopping");
    if (config_.server_moved) return refuse(reason_code::server_moved, "this gateway has moved");
    if (rule<"v5[MQTT-3.1.3-5]", "v311[MQTT-3.1.3-5]">(p.client_id.size() > client_id_bytes_max)) {
        return refuse(reason_code::client_identifier_not_valid, "client ids are limited to 256 bytes");
    }
    const bool nameless = p.client_id.empty() && p.protocol != proto::version::v5;
    if (rule<"v311[MQTT-3.1.3-7]", "v311[MQTT-3.1.3-8]">(nameless && !p.clean_start)) {
        return refuse(reason_code::client_identifier_not_valid, "an empty client id needs a clean session");
    }
    return true;
}

bool engine::admit(connection& c, const proto::connect& p, std::string& client_id) {
    using proto::reason_code;
    const auto refuse = [&](reason_code reason, const explanation& why) {
        refuse_connect(c, &p, reason, why);
        return false;
    };
    if (c.info.identity_from_client_id && !p.client_id.empty()) {
        const std::string_view device_id = p.client_id.substr(0, p.client_id.find('/'));
        if (!config_.valid_device_id || !config_.valid_device_id(device_id)) {
            return refuse(reason_code::client_identifier_not_valid,
                          "the client id does not begin with a valid device id");
        }
        auto who = std::make_shared<principal>(*c.info.who);
        who->device_id = device_id;
        who->name = device_id;
        c.info.who = std::move(who);
    }
    const principal& who = *c.info.who;
    if (!p.client_id.empty() && who.is_device() && !belongs_to_device(p.client_id, who.device_id)) {
        return refuse(reason_code::client_identifier_not_valid,
                      "the client id must be the device id or begin with it and '/'");
    }
    if (const auto& w = p.last_will) { // it is to be published one day: the same rules
        reason_code reason{};
        const explanation why_not = refusal(who, w->topic, w->properties, w->payload, reason);
        if (reason != reason_code::success) return refuse(reason, why_not);
    }
    if (shared_.counts.connections.fetch_add(1, std::memory_order_relaxed) >= config_.limits.connections_max) {
        shared_.counts.connections.fetch_sub(1, std::memory_order_relaxed);
        return refuse(reason_code::quota_exceeded, {"there is no room for another connection", "connections_max"});
    }
    const bool assign = rule<"v5[MQTT-3.1.3-6]", "v5[MQTT-3.1.3-7]", "v311[MQTT-3.1.3-6]">(p.client_id.empty());
    client_id = assign ? make_client_id(c) : std::string(p.client_id);
    return true;
}

void engine::refuse_connect(connection& c, const proto::connect* p, proto::reason_code reason, const explanation& why) {
    counters_.connects_refused.add();
    const bool wrong_version = reason == proto::reason_code::unsupported_protocol_version;
    const bool authenticating = c.phase == connection_phase::authenticating;
    const proto::version v = p != nullptr || authenticating ? c.protocol
                             : wrong_version                ? proto::version::v3_1_1
                                                            : proto::version::v5;
    // A packet that could not be read gets no answer in 3.1.1 and need not get one in 5 (v5[MQTT-4.13.1-1]); a version
    // we do not speak is answered so that old clients understand (v311[MQTT-3.1.2-2], v5[MQTT-3.1.2-2]).
    const bool answer =
        p != nullptr || authenticating || wrong_version || reason == proto::reason_code::packet_too_large;
    if (rule<"v5[MQTT-3.1.4-1]", "v5[MQTT-3.1.4-2]", "v311[MQTT-3.1.4-1]", "v311[MQTT-3.2.2-6]">(answer)) {
        proto::connack k;
        k.reason = rule<"v5[MQTT-3.2.2-8]">(reason);
        k.session_present = rule<"v5[MQTT-3.2.2-6]", "v311[MQTT-3.2.2-4]">(false);
        why.put(k.properties); // v5[MQTT-3.1.2-29]: CONNACK may carry them whatever the client asked for
        const bool no_room = reason == proto::reason_code::quota_exceeded || reason == proto::reason_code::server_busy;
        if (no_room && !config_.server_reference.empty()) k.reason = proto::reason_code::use_another_server;
        if (k.reason == proto::reason_code::use_another_server || k.reason == proto::reason_code::server_moved) {
            k.properties.server_reference = config_.server_reference; // v5 4.11
        }
        proto::encode(k, v, out(c), c.packet_bytes_max == 0 ? proto::no_size_limit : c.packet_bytes_max);
    }
    request_close(c, close_cause::refused, why.text);
    if (p != nullptr) effects_.closes.back().client_id = p->client_id;
}

std::uint32_t engine::session_expiry_s(const proto::connect& p) const {
    const std::uint32_t asked = p.protocol == proto::version::v5 ? p.properties.session_expiry_s
                                : p.clean_start                  ? 0
                                                                 : proto::session_never_expires;
    return std::min(asked, config_.limits.session_expiry_max_s);
}

void engine::take_over(session& s) {
    counters_.takeovers.add();
    connection& old = *connection_of(s);
    disconnect(old, proto::reason_code::session_taken_over, close_cause::taken_over,
               "another connection uses this client id");
}

session& engine::make_session(const proto::connect& p, std::string client_id, const connection& c) {
    std::uint32_t slot;
    if (free_sessions_.empty()) {
        slot = static_cast<std::uint32_t>(sessions_.size());
        sessions_.emplace_back();
    } else {
        slot = free_sessions_.back();
        free_sessions_.pop_back();
    }
    session& s = sessions_[slot];
    const std::uint32_t generation = s.generation + 1;
    s = session{};
    s.slot = slot;
    s.generation = generation == 0 ? 1 : generation;
    s.live = true;
    s.number = next_session_number_;
    next_session_number_ += config_.shard_count;
    s.publisher = publisher_of(client_id);
    s.client_id = client_id;
    s.identity = c.info.who->identity();
    s.protocol = p.protocol;
    by_client_id_.emplace(std::move(client_id), slot);
    shared_.counts.sessions.fetch_add(1, std::memory_order_relaxed);
    counters_.sessions.add();
    return s;
}

/// Joins connection and session, and sets what CONNECT says about both.
void engine::attach(connection& c, session& s, const proto::connect& p) {
    const limits& l = config_.limits;
    c.phase = connection_phase::connected;
    c.session_slot = s.slot;
    c.received_before = s.in ? static_cast<std::uint16_t>(s.in->received.size()) : std::uint16_t{0};
    c.send_window = rule<"v5[MQTT-4.9.0-1]">(std::min(p.properties.receive_maximum, l.inflight_max));
    const std::uint16_t keep_alive_s =
        l.keep_alive_max_s != 0 && (p.keep_alive_s == 0 || p.keep_alive_s > l.keep_alive_max_s) ? l.keep_alive_max_s
                                                                                                : p.keep_alive_s;
    c.keep_alive_ms = rule<"v5[MQTT-3.2.2-22]">(keep_alive_s) * 1500u;
    connection_deadlines_.arm(c.slot, keep_alive_end_ms(c));
    const std::uint16_t aliases = rule<"v5[MQTT-3.1.2-26]", "v5[MQTT-3.1.2-27]", "v5[MQTT-3.3.2-11]">(
        std::min(p.properties.topic_alias_maximum, l.topic_alias_out_max));
    if (aliases > 0) c.aliases_out = std::make_unique<outbound_aliases>(aliases);

    const bool was_durable = s.durable();
    s.who = c.info.who;
    recheck_rights(s);
    s.expiry_s = session_expiry_s(p);
    s.protocol = p.protocol;
    s.connection = handle_of(c);
    s.epoch = next_epoch_++;
    s.ends_at_ms = never;
    if (rule<"v5[MQTT-3.1.3-9]">(true)) s.will.reset(); // not sent when the client comes back in time
    if (rule<"v5[MQTT-3.1.2-7]", "v311[MQTT-3.1.2-8]", "v311[MQTT-3.1.2-12]">(p.last_will.has_value())) {
        std::string block;
        proto::append_forward_block(p.last_will->properties, block);
        message_parts parts;
        parts.topic = p.last_will->topic;
        parts.properties = block;
        parts.payload = p.last_will->payload;
        parts.quality = rule<"v5[MQTT-3.2.2-12]">(p.last_will->quality); // all are supported
        parts.retain = rule<"v5[MQTT-3.2.2-13]">(p.last_will->retain);
        parts.publisher = s.publisher;
        // The expiry counts from the publication; kept relative until then.
        if (p.last_will->properties.message_expiry_s)
            parts.expires_mono_ms = *p.last_will->properties.message_expiry_s * 1000ll;
        s.will = std::make_unique<session_will>();
        s.will->message = make_message(parts);
        s.will->delay_s = p.last_will->delay_s;
    }
    if (was_durable != s.durable()) {
        for (subscription& sub : s.subscriptions) enter_index(s, sub);
    }
    if (s.durable())
        persist_session(s, false);
    else if (was_durable)
        persist(persist::delete_session{s.number}, false);
}

void engine::accept_connect(connection& c, session& s, const proto::connect& p, bool present, bool assigned,
                            bool wait) {
    counters_.connections.add();
    std::string connack;
    if (!encode_connack(c, s, p, present, assigned, connack)) {
        counters_.connects_refused.add();
        c.connack_pending = true; // for ever: the connection ends without having been served
        return disconnect(c, proto::reason_code::packet_too_large, close_cause::refused,
                          "the client's Maximum Packet Size leaves no room for CONNACK");
    }
    counters_.connects_accepted.add();
    if (rule<"v5[MQTT-3.2.0-1]", "v5[MQTT-3.2.0-2]", "v311[MQTT-3.2.0-1]">(!wait)) {
        out(c) += connack;
        return begin_serving(c, s);
    }
    // The old session's deletion must be durable before the client hears of a clean start. Until then nothing of this
    // connection is read, and the new session has no subscription that could be served.
    c.connack_pending = true;
    pending_ack& a = owe(s, proto::packet_type::connack, 0);
    a.serial = pending_persist_.serial;
    pending_persist_.urgent = true;
    a.text = std::move(connack);
    wait_for_commit(s);
    settle(c, s);
}

bool engine::encode_connack(const connection& c, const session& s, const proto::connect& p, bool present, bool assigned,
                            std::string& to) const {
    const limits& l = config_.limits;
    proto::connack k;
    k.reason = rule<"v5[MQTT-3.1.4-5]", "v311[MQTT-3.1.4-4]">(proto::reason_code::success);
    k.session_present = present && p.protocol != proto::version::v3_1;
    const std::string time = rfc3339(now_.unix_ms);
    const std::string replies = response_base(*s.who, s.client_id);
    if (p.protocol == proto::version::v5) {
        reached<"v5[MQTT-3.2.2-9]">(); // every QoS is supported
        auto& q = k.properties;
        const bool tell_replies = p.properties.request_response_information && !replies.empty();
        if (rule<"v5[MQTT-3.1.2-28]">(tell_replies)) q.response_information = replies;
        if (s.expiry_s != p.properties.session_expiry_s) q.session_expiry_s = s.expiry_s;
        q.receive_maximum = l.receive_maximum;
        q.maximum_packet_size = l.packet_bytes_max;
        q.topic_alias_maximum = l.topic_alias_in_max;
        if (rule<"v5[MQTT-3.2.2-16]", "v5[MQTT-3.1.3-7]">(assigned)) q.assigned_client_identifier = s.client_id;
        if (l.keep_alive_max_s != 0 && (p.keep_alive_s == 0 || p.keep_alive_s > l.keep_alive_max_s)) {
            q.server_keep_alive_s = rule<"v5[MQTT-3.2.2-21]">(l.keep_alive_max_s);
        }
        if (rule<"v5[MQTT-4.12.0-5]", "v5[MQTT-4.12.0-6]">(c.auth != nullptr)) {
            q.authentication_method = c.auth->method;
            if (!c.auth->answer.empty()) q.authentication_data = c.auth->answer;
        }
        q.user.add("time", time); // for devices without a clock
    }
    return proto::encode(k, c.protocol, to, c.packet_bytes_max);
}

/// CONNACK is in the output: tell the in-process client, and go on where the session left off.
void engine::begin_serving(connection& c, session& s) {
    announce(s);
    if (rule<"v5[MQTT-4.4.0-1]", "v311[MQTT-4.4.0-1]">(true)) redeliver(c, s);
    pump(s);
    update_share_state(s);
}

void engine::announce(session& s) {
    effects_.peers.push_back({effects_.next_order++, peer_event::kind::connected, reference_of(s), {}});
    for (const subscription& sub : s.subscriptions) {
        effects_.peers.push_back({effects_.next_order++, peer_event::kind::subscribed, reference_of(s), sub.filter});
    }
}

} // namespace fb::core
