// Dispatch, time and lookup. The rules of each packet family are in session_*.cpp, routing.cpp and delivery.cpp.
#include "broker/core/engine.hpp"

#include <algorithm>
#include <cassert>
#include <limits>

#include "proto/rule.hpp"

namespace fb::core {
const char* to_string(close_cause cause) noexcept {
    switch (cause) {
    case close_cause::client_disconnect: return "client disconnected";
    case close_cause::transport: return "connection lost";
    case close_cause::protocol_violation: return "protocol violation";
    case close_cause::refused: return "refused";
    case close_cause::connect_timeout: return "no CONNECT in time";
    case close_cause::keep_alive_timeout: return "keep-alive timeout";
    case close_cause::taken_over: return "session taken over";
    case close_cause::not_durable: return "state store did not commit in time";
    case close_cause::overload: return "over a limit";
    case close_cause::store_refuses: return "state store fails";
    case close_cause::server_stop: return "server stops";
    }
    return "";
}

shard_id home_shard(std::string_view client_id, shard_id shard_count) noexcept {
    return static_cast<shard_id>(std::hash<std::string_view>{}(client_id) % shard_count);
}

std::optional<shard_id> route_connect(const proto::frame& first, shard_id shard_count) {
    if (first.type != proto::packet_type::connect) return std::nullopt;
    const auto p = proto::decode_connect(first);
    if (!p || p->client_id.empty()) return std::nullopt;
    return home_shard(p->client_id, shard_count);
}

engine::engine(engine_config config, shared_state shared, crossing_port& crossings, effects& out)
    : config_(std::move(config))
    , shared_(shared)
    , crossings_(crossings)
    , effects_(out)
    , cache_(shared.index, config_.limits.match_cache_entries_max)
    , random_(config_.seed)
    , next_session_number_(1u + config_.shard)
    , next_message_id_(1u + config_.shard) {
    pending_persist_.serial = 1;
}

engine::~engine() = default;

subscriber engine::local_subscriber(proto::qos maximum) {
    subscriber s;
    s.session.shard = local_shard;
    s.session.generation = 1;
    s.options.maximum_qos = maximum;
    s.options.retain_as_published = true;
    return s;
}

// --- lookup ---

connection* engine::find(connection_handle c) {
    if (c.slot >= connections_.size() || !c) return nullptr;
    connection& found = connections_[c.slot];
    return found.generation == c.generation && found.phase != connection_phase::free ? &found : nullptr;
}

const connection* engine::find(connection_handle c) const { return const_cast<engine*>(this)->find(c); }

session* engine::find(const session_handle& s) {
    if (s.shard != config_.shard || s.slot >= sessions_.size() || s.generation == 0) return nullptr;
    session& found = sessions_[s.slot];
    return found.live && found.generation == s.generation ? &found : nullptr;
}

connection_handle engine::handle_of(const connection& c) const { return {c.slot, c.generation}; }

session_handle engine::handle_of(const session& s) const { return {s.slot, s.generation, config_.shard}; }

peer_reference engine::reference_of(session& s) const {
    peer_reference r;
    r.session = handle_of(s);
    r.epoch = s.epoch;
    r.who = s.who;
    r.client_id = s.client_id;
    if (s.online()) r.address = connections_[s.connection.slot].info.address;
    return r;
}

// --- events of the transport ---

connection_handle engine::open(connection_info info, const instant& now) {
    now_ = now;
    std::uint32_t slot;
    if (free_connections_.empty()) {
        slot = static_cast<std::uint32_t>(connections_.size());
        connections_.emplace_back();
    } else {
        slot = free_connections_.back();
        free_connections_.pop_back();
    }
    connection& c = connections_[slot];
    const std::uint32_t generation = c.generation + 1;
    c = connection{};
    c.slot = slot;
    c.generation = generation == 0 ? 1 : generation;
    c.phase = connection_phase::awaiting_connect;
    c.info = std::move(info);
    c.last_read_ms = now.mono_ms;
    c.opened_ms = now.mono_ms;
    connection_deadlines_.arm(slot, c.opened_ms + config_.limits.connect_timeout_s * ms_per_s);
    return handle_of(c);
}

std::size_t engine::receive(connection_handle h, std::string_view bytes, const instant& now) {
    now_ = now;
    connection* c = find(h);
    if (c == nullptr) return bytes.size();
    if (rule<"v5[MQTT-3.1.4-6]", "v311[MQTT-3.1.4-5]">(c->phase == connection_phase::closing)) return bytes.size();
    c->last_read_ms = now.mono_ms;
    std::size_t used = 0;
    while (used < bytes.size()) {
        hold_when_overfull(*c);
        if (must_pause(*c)) {
            c->paused = true;
            break;
        }
        const std::uint32_t limit = c->phase == connection_phase::connected ? config_.limits.packet_bytes_max
                                                                            : config_.limits.connect_packet_bytes_max;
        const auto f = proto::next_frame(bytes.substr(used), limit);
        if (!f) {
            violation(*c, f.error());
            break;
        }
        // However the stream is cut up; but what cannot become a CONNECT is refused by its first byte.
        const bool hopeless = c->phase == connection_phase::awaiting_connect && f->type != proto::packet_type::connect;
        if (rule<"v5[MQTT-4.2.0-1]", "v5[MQTT-7.1.1-1]">(!f->complete()) && !hopeless) break;
        used += f->size;
        counters_.bytes_received.add(f->size);
        counters_.packets_received.add();
        dispatch(*c, *f);
        if (rule<"v5[MQTT-3.1.4-6]", "v311[MQTT-3.1.4-5]">(c->phase == connection_phase::closing)) break;
    }
    return c->phase == connection_phase::closing ? bytes.size() : used;
}

void engine::dispatch(connection& c, const proto::frame& f) {
    using proto::packet_type;
    if (c.phase == connection_phase::awaiting_connect) {
        if (rule<"v5[MQTT-3.1.0-1]", "v311[MQTT-3.1.0-1]">(f.type != packet_type::connect)) {
            return violation(
                c, {proto::reason_code::protocol_error, "v5[MQTT-3.1.0-1]", "the first packet is not a CONNECT"});
        }
        return on_connect(c, f);
    }
    if (c.phase == connection_phase::authenticating && f.type != packet_type::auth &&
        f.type != packet_type::disconnect) {
        return violation(c, {proto::reason_code::protocol_error, "v5[MQTT-3.1.2-30]",
                             "only AUTH or DISCONNECT may come before CONNACK"});
    }
    switch (f.type) {
    case packet_type::publish: return on_publish(c, f);
    case packet_type::puback: return on_puback(c, f);
    case packet_type::pubrec: return on_pubrec(c, f);
    case packet_type::pubrel: return on_pubrel(c, f);
    case packet_type::pubcomp: return on_pubcomp(c, f);
    case packet_type::subscribe: return on_subscribe(c, f);
    case packet_type::unsubscribe: return on_unsubscribe(c, f);
    case packet_type::disconnect: return on_disconnect(c, f);
    case packet_type::pingreq:
        if (const auto p = proto::decode_pingreq(f); !p) return violation(c, p.error());
        if (rule<"v5[MQTT-3.12.4-1]", "v311[MQTT-3.12.4-1]", "v5[MQTT-3.3.4-10]", "v5[MQTT-4.9.0-3]">(true))
            proto::encode(proto::pingresp{}, out(c));
        return;
    case packet_type::auth: return on_auth(c, f);
    case packet_type::connect:
        if (rule<"v5[MQTT-3.1.0-2]", "v311[MQTT-3.1.0-2]">(true))
            violation(c, {proto::reason_code::protocol_error, "v5[MQTT-3.1.0-2]", "a second CONNECT"});
        return;
    case packet_type::connack:
    case packet_type::suback:
    case packet_type::unsuback:
    case packet_type::pingresp: // CVE-2021-28166's class: only a server sends these
        return violation(c, {proto::reason_code::protocol_error, "v5 2.1.2", "a packet only a server may send"});
    }
}

void engine::written(connection_handle h, std::size_t count, const instant& now) {
    now_ = now;
    connection* c = find(h);
    if (c == nullptr || !c->output) return;
    c->output->consume(count);
    counters_.bytes_sent.add(count);
    c->last_written_ms = now.mono_ms;
    const std::size_t left = c->output->size();
    if (left == 0) buffers_.give_back(std::move(c->output));
    if (c->phase != connection_phase::connected) return;
    if (left < output_bytes_high() / 2) pump(session_of(*c));
    resume_if_possible(*c);
}

void engine::broken(connection_handle h, const proto::decode_error& why, const instant& now) {
    now_ = now;
    connection* c = find(h);
    if (c != nullptr && c->phase != connection_phase::closing) violation(*c, why);
}

void engine::closed(connection_handle h, const instant& now) {
    now_ = now;
    connection* c = find(h);
    if (c == nullptr) return;
    if (c->phase == connection_phase::connected) detach(*c, true);
    if (c->phase == connection_phase::authenticating) end_authentication(*c);
    const std::uint32_t generation = c->generation;
    *c = connection{};
    c->slot = h.slot;
    c->generation = generation;
    connection_deadlines_.clear(h.slot);
    free_connections_.push_back(h.slot);
}

void engine::on_crossed(crossing what, const instant& now) {
    now_ = now;
    if (auto* r = std::get_if<routed>(&what)) {
        if (r->own) --own_crossings_;
        if (r->together) return give_rows(*r);
        const bool stored = deliver_own(r->message, *r->list, r->live_only, bool(r->token));
        if (!r->token) return;
        if (stored)
            commit_waiters_.push_back({pending_persist_.serial, {}, r->token});
        else
            crossings_.send(r->token.session.shard, part_done{.token = r->token});
    } else if (auto* share = std::get_if<share_routed>(&what)) {
        on_share_routed(std::move(*share));
    } else if (auto* committed = std::get_if<rows_committed>(&what)) {
        release_kept_apart(committed->message);
    } else if (auto& p = std::get<part_done>(what); p.message != 0) {
        rows_arrived(std::move(p));
    } else {
        part_finished(p.token, proto::reason_code::success, {});
    }
}

void engine::on_committed(std::uint64_t serial, const instant& now) {
    now_ = now;
    committed_serial_ = std::max(committed_serial_, serial);
    tell_gathered_committed();
    hand_over_put_off_rows();
    while (!commit_waiters_.empty() && committed(commit_waiters_.front().serial)) {
        const commit_waiter w = commit_waiters_.front();
        commit_waiters_.pop_front();
        if (w.remote) {
            crossings_.send(w.remote.session.shard, part_done{.token = w.remote});
        } else if (session* s = find(w.session)) {
            release_held(*s);
            if (connection* c = connection_of(*s)) settle(*c, *s);
        }
    }
}

void engine::on_local_verdict(const ack_token& token, proto::reason_code reason, std::string_view text,
                              const instant& now) {
    now_ = now;
    if (is_error(reason)) counters_.reports_refused.add();
    part_finished(token, reason, text);
}

void engine::stop(const instant& now) {
    now_ = now;
    stopping_ = true;
    on_store_state(false, now); // what was put off gets its chance, all of it
    put_off_.give_rows(std::numeric_limits<std::size_t>::max(),
                       [this](const persist::dequeue& op) { persist(op, false); });
    for (connection& c : connections_) {
        if (c.phase == connection_phase::connected) {
            disconnect(c, proto::reason_code::server_shutting_down, close_cause::server_stop,
                       "the gateway is stopping");
        } else if (c.phase == connection_phase::awaiting_connect || c.phase == connection_phase::authenticating) {
            request_close(c, close_cause::server_stop, "");
        }
    }
}

// --- time ---

void engine::on_time(const instant& now) {
    now_ = now;
    for (std::uint32_t slot; connection_deadlines_.pop_due(now.mono_ms, slot);) connection_due(connections_[slot]);
    for (std::uint32_t slot; session_deadlines_.pop_due(now.mono_ms, slot);) session_due(sessions_[slot]);
}

void engine::session_due(session& s) {
    if (!s.live || rule<"v5[MQTT-4.1.0-1]", "v311[MQTT-4.1.0-1]", "v311[MQTT-4.1.0-2]">(s.online())) return;
    if (s.will && s.will->due_ms <= now_.mono_ms) publish_will(s);
    if (!rule<"v5[MQTT-3.1.2-23]", "v5[MQTT-4.1.0-2]">(s.ends_at_ms <= now_.mono_ms)) return arm_session_deadline(s);
    counters_.sessions_expired.add();
    end_session(s);
}

void engine::connection_due(connection& c) {
    if (c.phase == connection_phase::awaiting_connect || c.phase == connection_phase::authenticating) {
        const std::int64_t due = c.opened_ms + config_.limits.connect_timeout_s * ms_per_s;
        if (due > now_.mono_ms) return connection_deadlines_.arm(c.slot, due);
        return request_close(c, close_cause::connect_timeout,
                             "no complete CONNECT, or no proof of who it is, in connect_timeout_s");
    }
    if (c.phase != connection_phase::connected) return;
    if (c.held_since_ms != never && look_at_held(c)) return;
    session& s = session_of(c);
    if (s.out && !s.out->replays.empty()) pump(s);
    if (s.in && !s.in->acks.empty()) {
        const std::int64_t due = ack_wait_end_ms(s.in->acks.front());
        if (due <= now_.mono_ms) {
            return disconnect(
                c, proto::reason_code::quota_exceeded, close_cause::not_durable,
                {"the gateway cannot store this now; send it again after reconnecting", "ack_wait_max_s"});
        }
        connection_deadlines_.arm(c.slot, due);
    }
    if (c.auth && c.auth->ends_ms <= now_.mono_ms) {
        return disconnect(c, proto::reason_code::not_authorized, close_cause::refused,
                          {"authenticating again was not finished in time", "connect_timeout_s"});
    }
    if (c.auth) connection_deadlines_.arm(c.slot, c.auth->ends_ms);
    const std::int64_t due = keep_alive_end_ms(c);
    if (!rule<"v5[MQTT-3.1.2-22]", "v311[MQTT-3.1.2-24]">(due <= now_.mono_ms))
        return connection_deadlines_.arm(c.slot, due);
    if (c.paused) {
        return disconnect(c, proto::reason_code::quota_exceeded, close_cause::overload,
                          {"the client does not read what it is sent", "output_bytes_max"});
    }
    disconnect(c, proto::reason_code::keep_alive_timeout, close_cause::keep_alive_timeout,
               "no packet for one and a half keep-alive intervals");
}

/// A client we do not read from cannot show that it lives by sending; by reading it can, unless it is us it waits for.
std::int64_t engine::keep_alive_end_ms(const connection& c) const {
    if (c.keep_alive_ms == 0) return never;
    if (!c.paused) return c.last_read_ms + c.keep_alive_ms;
    const bool waits_for_us = !c.output || c.output->size() == 0;
    return (waits_for_us ? now_.mono_ms : std::max(c.last_read_ms, c.last_written_ms)) + c.keep_alive_ms;
}

std::int64_t engine::ack_wait_end_ms(const pending_ack& a) const {
    return a.since_ms + config_.limits.ack_wait_max_s * ms_per_s;
}

// --- ending connections ---

void engine::violation(connection& c, const proto::decode_error& e) {
    counters_.protocol_violations.add();
    std::string detail = std::string(e.what) + " (" + e.statement + ")";
    if (c.phase == connection_phase::awaiting_connect || c.phase == connection_phase::authenticating) {
        const bool too_large = e.reason == proto::reason_code::packet_too_large;
        return refuse_connect(c, nullptr, e.reason, {detail, too_large ? "connect_packet_bytes_max" : ""});
    }
    const bool too_large = e.reason == proto::reason_code::packet_too_large;
    const bool too_many = e.reason == proto::reason_code::receive_maximum_exceeded;
    disconnect(c, e.reason, close_cause::protocol_violation,
               {detail, too_large  ? "packet_bytes_max"
                        : too_many ? "receive_maximum"
                                   : ""});
}

void engine::disconnect(connection& c, proto::reason_code reason, close_cause cause, const explanation& why) {
    if (rule<"v5[MQTT-3.14.0-1]">(c.connack_pending)) {
        proto::connack k;
        k.reason = reason == proto::reason_code::packet_too_large ? reason : proto::reason_code::server_unavailable;
        proto::encode(k, c.protocol, out(c), c.packet_bytes_max);
    } else if (c.protocol == proto::version::v5) {
        reached<"v5[MQTT-3.14.2-2]">(); // no session expiry from a server
        proto::disconnect p;
        p.reason = reason;
        why.put(p.properties); // v5[MQTT-3.1.2-29]: DISCONNECT may carry them whatever the client asked for
        proto::encode(p, c.protocol, out(c), c.packet_bytes_max);
    }
    request_close(c, cause, why.text);
}

void engine::request_close(connection& c, close_cause cause, std::string_view detail) {
    if (c.phase == connection_phase::closing) return;
    close_request r{handle_of(c), cause, {}, c.info.address, std::string(detail)};
    if (c.phase == connection_phase::connected) {
        r.client_id = session_of(c).client_id;
        detach(c, cause != close_cause::client_disconnect);
    }
    if (c.phase == connection_phase::authenticating) end_authentication(c);
    c.phase = rule<"v5[MQTT-3.14.4-1]">(connection_phase::closing);
    // Whatever it was that ended it.
    if (rule<"v5[MQTT-3.1.2-1]", "v5[MQTT-3.1.2-2]", "v5[MQTT-3.1.3-8]", "v5[MQTT-3.1.4-1]", "v5[MQTT-3.1.4-2]",
             "v5[MQTT-3.1.4-3]", "v5[MQTT-3.2.2-7]", "v5[MQTT-3.14.4-2]", "v5[MQTT-4.12.0-1]", "v5[MQTT-4.12.0-4]",
             "v5[MQTT-4.12.1-2]", "v5[MQTT-4.13.1-1]", "v5[MQTT-4.13.2-1]", "v311[MQTT-2.2.2-2]", "v311[MQTT-3.1.2-1]",
             "v311[MQTT-3.1.2-2]", "v311[MQTT-3.1.3-9]", "v311[MQTT-3.1.4-1]", "v311[MQTT-3.2.2-5]",
             "v311[MQTT-4.8.0-1]", "v311[MQTT-4.8.0-2]">(true))
        effects_.closes.push_back(std::move(r));
}

// --- output and back-pressure ---

/// Once for each packet.
output_buffer& engine::buffer(connection& c) {
    counters_.packets_sent.add();
    if (!c.output) c.output = buffers_.take();
    touch(c);
    return *c.output;
}

std::string& engine::out(connection& c) { return buffer(c).text(); }

void engine::touch(connection& c) {
    if (c.touched) return;
    c.touched = true;
    effects_.touched.push_back(handle_of(c));
}

std::size_t engine::output_size(connection_handle h) const {
    const connection* c = find(h);
    return c != nullptr && c->output ? c->output->size() : 0;
}

std::size_t engine::gather(connection_handle h, std::span<std::string_view> out) {
    connection* c = find(h);
    if (c == nullptr) return 0;
    c->touched = false;
    if (c->output) c->output->count();
    return c->output ? c->output->gather(out) : 0;
}

bool engine::paused(connection_handle h) const {
    const connection* c = find(h);
    return c != nullptr && c->paused;
}

bool engine::must_pause(const connection& c) {
    if (c.connack_pending || (c.phase == connection_phase::authenticating && c.auth->stepping)) return true;
    if (c.output && c.output->size() > config_.limits.output_bytes_max) return true;
    if (c.phase != connection_phase::connected) return false;
    if (c.held_since_ms != never) return true;
    const session& s = sessions_[c.session_slot];
    return s.in && s.in->acks.size() >= config_.limits.pending_acks_max;
}

void engine::resume_if_possible(connection& c) {
    if (!c.paused || must_pause(c)) return;
    c.paused = false;
    c.last_read_ms = now_.mono_ms;
    effects_.resumed.push_back(handle_of(c));
}

bool engine::take_persist(persist_batch& out) {
    if (pending_persist_.operations.empty()) return false;
    out = std::move(pending_persist_);
    pending_persist_ = persist_batch{out.serial + 1, false, {}};
    return true;
}

std::string engine::make_client_id(const connection& c) {
    static constexpr std::string_view alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";
    const principal& who = *c.info.who;
    const std::string prefix = who.is_device() ? who.device_id + "/" : "auto-";
    for (;;) { // until it stays on this shard: one in shard_count does
        std::string id = prefix;
        for (int i = 0; i < 20; ++i) id += alphabet[random_() % alphabet.size()];
        if (home_shard(id, config_.shard_count) == config_.shard && !by_client_id_.contains(id)) return id;
    }
}

} // namespace fb::core
