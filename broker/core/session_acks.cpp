// Acknowledgements: those we owe a client (in arrival order, each after all its parts) and those a client sends us.
#include <algorithm>

#include "broker/core/engine.hpp"

namespace fb::core {

pending_ack& engine::owe(connection& c, session& s, proto::packet_type type, proto::packet_id id) {
    if (!s.in) s.in = std::make_unique<incoming>();
    pending_ack& a = s.in->acks.emplace_back();
    a.type = type;
    a.id = id;
    a.number = s.in->next_ack++;
    if (s.in->next_ack == 0) s.in->next_ack = 1;
    a.since_ms = now_.mono_ms;
    if (!c.ack_timer_armed && s.in->acks.size() > 1) {
        c.ack_timer_armed = true;
        timers_.arm(now_.mono_ms + config_.limits.ack_wait_max_s * 1000ll, timer_kind::ack_wait, c.slot, c.generation);
    }
    return a;
}

void engine::wait_for_commit(session& s) {
    const std::uint64_t serial = pending_persist_.serial;
    const session_handle who = handle_of(s);
    if (!commit_waiters_.empty() && commit_waiters_.back().serial == serial && commit_waiters_.back().session == who) return;
    commit_waiters_.push_back({serial, who, {}});
}

/// Sends every acknowledgement at the front whose parts are all there.
void engine::settle(connection& c, session& s) {
    if (!s.in) return;
    auto& acks = s.in->acks;
    while (!acks.empty() && acks.front().parts == 0 && committed(acks.front().serial)) {
        pending_ack a = std::move(acks.front());
        acks.pop_front();
        send_ack(c, s, a);
    }
    if (!acks.empty() && !c.ack_timer_armed) {
        c.ack_timer_armed = true;
        timers_.arm(acks.front().since_ms + config_.limits.ack_wait_max_s * 1000ll, timer_kind::ack_wait, c.slot, c.generation);
    }
    resume_if_possible(c);
}

void engine::send_ack(connection& c, session& s, pending_ack& a) {
    const auto simple = [&](auto p) {
        p.id = a.id;
        p.reason = a.reason;
        if (c.problem_information && !a.text.empty()) p.properties.reason_string = a.text; // v5[MQTT-3.1.2-29]
        proto::encode(p, c.protocol, out(c), c.packet_bytes_max);
    };
    const auto list = [&](auto p) {
        p.id = a.id;
        p.reasons = std::move(a.reasons);
        if (c.problem_information && !a.text.empty()) p.properties.reason_string = a.text;
        proto::encode(p, c.protocol, out(c), c.packet_bytes_max);
    };
    switch (a.type) {
    case proto::packet_type::puback: return simple(proto::puback{});
    case proto::packet_type::pubrec:
        if (a.marks_received && is_error(a.reason)) { // refused after all: the id is free again (v5 4.3.3)
            std::erase(s.in->received, a.id);
            if (s.durable()) persist(persist::delete_received{s.number, a.id}, false);
        }
        return simple(proto::pubrec{});
    case proto::packet_type::pubcomp: return simple(proto::pubcomp{});
    case proto::packet_type::suback: return list(proto::suback{});
    case proto::packet_type::unsuback: return list(proto::unsuback{});
    case proto::packet_type::connack:
        out(c) += a.text;
        c.connack_pending = false;
        return begin_serving(c, s);
    default: return;
    }
}

/// One of the parts an acknowledgement waits for has come: another shard's commit, or the in-process client's verdict.
void engine::part_finished(const ack_token& token, proto::reason_code reason, std::string_view text) {
    session* s = find(token.session);
    if (s == nullptr || s->epoch != token.epoch || !s->in) return; // the connection it belonged to is gone
    connection* c = connection_of(*s);
    if (c == nullptr) return;
    if (reason == proto::reason_code::quota_exceeded) {
        return disconnect(*c, reason, close_cause::not_durable, text);
    }
    auto& acks = s->in->acks;
    const auto at = std::find_if(acks.begin(), acks.end(), [&](const pending_ack& a) { return a.number == token.number; });
    if (at == acks.end() || at->parts == 0) return;
    --at->parts;
    if (is_error(reason)) {
        at->reason = reason;
        at->text = text;
    }
    settle(*c, *s);
}

void engine::on_puback(connection& c, const proto::frame& f) {
    const auto p = proto::decode_puback(f, c.protocol);
    if (!p) return violation(c, p.error());
    session& s = session_of(c);
    if (!s.out) return;
    auto& inflight = s.out->inflight;
    const auto at = std::find_if(inflight.begin(), inflight.end(), [&](const delivery& d) { return d.id == p->id; });
    // An id we do not know (an answer to a delivery that ended meanwhile) is ignored: v5 4.3.2 demands nothing else.
    if (at == inflight.end() || at->quality != proto::qos::at_least_once) return;
    drop_row(s, *at);
    inflight.erase(at); // v5[MQTT-4.3.2-5]: the id may be used again
    pump(s);
}

void engine::on_pubrec(connection& c, const proto::frame& f) {
    const auto p = proto::decode_pubrec(f, c.protocol);
    if (!p) return violation(c, p.error());
    session& s = session_of(c);
    outgoing& o = out_of(s);
    const auto at = std::find_if(o.inflight.begin(), o.inflight.end(), [&](const delivery& d) { return d.id == p->id; });
    if (at == o.inflight.end() || at->quality != proto::qos::exactly_once) {
        if (is_error(p->reason)) return;
        proto::pubrel r;
        r.id = p->id;
        r.reason = proto::reason_code::packet_identifier_not_found; // v5 3.6.2.1
        proto::encode(r, c.protocol, out(c), c.packet_bytes_max);
        return;
    }
    if (is_error(p->reason)) { // v5[MQTT-4.3.3-4]: refused, the delivery is over
        drop_row(s, *at);
        o.inflight.erase(at);
        return pump(s);
    }
    if (at->phase != delivery_phase::released) {
        at->phase = delivery_phase::released; // v5[MQTT-4.3.3-5]: from here on no PUBLISH
        if (at->stored) {
            at->commit_serial = pending_persist_.serial;
            at->held = true;
            persist(persist::set_delivery{s.number, at->sequence, at->id, at->phase}, true);
            return wait_for_commit(s);
        }
    }
    if (!at->held) send_pubrel(c, at->id); // v5[MQTT-4.3.3-4] v311[MQTT-4.3.3-1]
}

void engine::on_pubcomp(connection& c, const proto::frame& f) {
    const auto p = proto::decode_pubcomp(f, c.protocol);
    if (!p) return violation(c, p.error());
    session& s = session_of(c);
    if (!s.out) return;
    auto& inflight = s.out->inflight;
    const auto at = std::find_if(inflight.begin(), inflight.end(), [&](const delivery& d) { return d.id == p->id; });
    if (at == inflight.end() || at->phase != delivery_phase::released) return;
    drop_row(s, *at);
    inflight.erase(at);
    pump(s);
}

} // namespace fb::core
