// Acknowledgements: those we owe a client (in arrival order, each after all its parts) and those a client sends us.
#include <algorithm>

#include "broker/core/engine.hpp"
#include "proto/rule.hpp"

namespace fb::core {

pending_ack& engine::owe(session& s, proto::packet_type type, proto::packet_id id) {
    if (!s.in) s.in = std::make_unique<incoming>();
    pending_ack& a = s.in->acks.push_back({});
    a.type = type;
    a.id = id;
    a.number = s.in->next_ack++;
    a.epoch = s.epoch;
    if (s.in->next_ack == 0) s.in->next_ack = 1;
    a.since_ms = now_.mono_ms;
    return a;
}

/// What has happened up to now, in an earlier connection too, must be durable before this leaves.
void engine::hold_until_durable(session& s, pending_ack& a) {
    const bool nothing_new = pending_persist_.operations.empty();
    a.serial = nothing_new ? pending_persist_.serial - 1 : pending_persist_.serial;
    if (!committed(a.serial)) wait_for_commit(s, a.serial);
}

void engine::wait_for_commit(session& s) { wait_for_commit(s, pending_persist_.serial); }

void engine::wait_for_commit(session& s, std::uint64_t serial) {
    const session_handle who = handle_of(s);
    if (!commit_waiters_.empty() && commit_waiters_.back().serial == serial && commit_waiters_.back().session == who)
        return;
    commit_waiters_.push_back({serial, who, {}});
}

/// Sends every acknowledgement at the front whose parts are all there.
void engine::settle(connection& c, session& s) {
    if (!s.in) return;
    auto& acks = s.in->acks;
    while (!acks.empty() && acks.front().parts == 0 && committed(acks.front().serial)) {
        pending_ack a = std::move(acks.front());
        acks.pop_front();
        if (rule<"v5[MQTT-3.1.2-24]">(!send_ack(c, s, a))) {
            return disconnect(c, proto::reason_code::packet_too_large, close_cause::overload,
                              "the client's Maximum Packet Size leaves no room for an acknowledgement");
        }
    }
    if (!acks.empty()) connection_deadlines_.arm(c.slot, ack_wait_end_ms(acks.front()));
    resume_if_possible(c);
}

bool engine::send_ack(connection& c, session& s, pending_ack& a) {
    const auto simple = [&](auto p) {
        p.id = a.id;
        p.reason = a.reason;
        if (rule<"v5[MQTT-3.1.2-29]">(c.problem_information)) explanation(a.text, a.limit).put(p.properties);
        return proto::encode(p, c.protocol, out(c), c.packet_bytes_max);
    };
    const auto list = [&](auto p) {
        p.id = a.id;
        p.reasons = std::move(a.reasons);
        if (rule<"v5[MQTT-3.1.2-29]">(c.problem_information)) explanation(a.text, a.limit).put(p.properties);
        return proto::encode(p, c.protocol, out(c), c.packet_bytes_max);
    };
    switch (a.type) {
    case proto::packet_type::puback: return simple(proto::puback{});
    case proto::packet_type::pubrec:
        if (rule<"v5[MQTT-4.3.3-9]">(a.marks_received && is_error(a.reason))) forget_received(s, a.id);
        return simple(proto::pubrec{});
    case proto::packet_type::pubcomp: return simple(proto::pubcomp{});
    case proto::packet_type::suback: return list(proto::suback{});
    case proto::packet_type::unsuback: return list(proto::unsuback{});
    case proto::packet_type::connack:
        out(c) += a.text;
        c.connack_pending = false;
        begin_serving(c, s);
        return true;
    default: return true;
    }
}

/// One of the parts an acknowledgement waits for has come: another shard's commit, or the in-process client's verdict.
/// `serial`: the commit that has it, which the acknowledgement must wait for, too.
void engine::part_finished(const ack_token& token, proto::reason_code reason, std::string_view text,
                           std::uint64_t serial) {
    session* s = find(token.session);
    if (s == nullptr || !s->in) return;
    const auto is_it = [&](const pending_ack& a) {
        return a.number == token.number && a.epoch == token.epoch && a.parts > 0;
    };
    const auto owed = std::find_if(s->in->acks.begin(), s->in->acks.end(), is_it);
    const auto kept = std::find_if(s->in->unfinished.begin(), s->in->unfinished.end(), is_it);
    const bool is_owed = owed != s->in->acks.end();
    if (!is_owed && kept == s->in->unfinished.end()) return; // the connection it belonged to is gone
    pending_ack& a = is_owed ? *owed : *kept;
    if (reason == proto::reason_code::quota_exceeded) { // not now: the client is to send it again, as something new
        if (a.marks_received) forget_received(*s, a.id);
        if (is_owed) disconnect(*connection_of(*s), reason, close_cause::not_durable, text);
        return;
    }
    --a.parts;
    if (serial != 0) {
        a.serial = serial;
        wait_for_commit(*s, serial);
    }
    if (is_error(reason)) {
        a.reason = reason;
        a.text = text;
    }
    if (a.parts == 0 && a.record_received && !is_error(a.reason)) {
        store_received(*s, a.id, true);
        a.serial = pending_persist_.serial;
        wait_for_commit(*s);
    }
    if (is_owed) settle(*connection_of(*s), *s);
}

/// The PUBLISH of a QoS 2 message that has been routed came again: the PUBREC leaves when it would have left.
void engine::owe_pubrec_again(session& s, proto::packet_id id) {
    auto& kept = s.in->unfinished;
    const auto at = std::find_if(kept.begin(), kept.end(), [&](const pending_ack& a) { return a.id == id; });
    if (at != kept.end()) {
        pending_ack& a = s.in->acks.push_back(std::move(*at));
        a.since_ms = now_.mono_ms;
        kept.erase(at);
        return;
    }
    pending_ack& a = owe(s, proto::packet_type::pubrec, id);
    a.marks_received = true;
}

/// The connection ends: what else was owed the client will send again and hear of then.
void engine::keep_unfinished(session& s) {
    incoming& in = *s.in;
    for (pending_ack& a : in.acks) {
        if (!a.marks_received || !std::binary_search(in.received.begin(), in.received.end(), a.id)) continue;
        const bool kept =
            std::any_of(in.unfinished.begin(), in.unfinished.end(), [&](const pending_ack& x) { return x.id == a.id; });
        if (!kept) in.unfinished.push_back(std::move(a));
    }
    in.acks.clear();
    if (in.received.empty()) s.in.reset();
}

/// True when the id was known.
bool engine::erase_received(session& s, proto::packet_id id) {
    if (!s.in) return false;
    auto& received = s.in->received;
    const auto at = std::lower_bound(received.begin(), received.end(), id);
    if (at == received.end() || *at != id) return false;
    received.erase(at);
    std::erase_if(s.in->unfinished, [&](const pending_ack& a) { return a.id == id; });
    return true;
}

void engine::forget_received(session& s, proto::packet_id id) {
    if (erase_received(s, id)) unstore_received(s, id, false);
}

void engine::store_received(session& s, proto::packet_id id, bool urgent) {
    s.in->stored.push_back(id);
    persist(persist::put_received{s.number, id}, urgent);
}

/// True when it was stored.
bool engine::unstore_received(session& s, proto::packet_id id, bool urgent) {
    if (!s.in || std::erase(s.in->stored, id) == 0) return false;
    if (s.durable()) persist(persist::delete_received{s.number, id}, urgent);
    return true;
}

void engine::on_puback(connection& c, const proto::frame& f) {
    const auto p = proto::decode_puback(f, c.protocol);
    if (!p) return violation(c, p.error());
    session& s = session_of(c);
    if (!s.out) return;
    auto& inflight = s.out->inflight;
    const auto at = std::find_if(inflight.begin(), inflight.end(), [&](const delivery& d) { return d.id == p->id; });
    // An id we do not know (an answer to a delivery that ended meanwhile) is ignored: v5 4.3.2 demands nothing else.
    if (at == inflight.end() || at->quality != proto::qos::at_least_once)
        return keep_early(s, f.type, p->id, p->reason);
    if (rule<"v5[MQTT-4.3.2-3]", "v311[MQTT-4.3.2-1]">(true)) finish(s, at); // the id may be used again
}

void engine::on_pubrec(connection& c, const proto::frame& f) {
    const auto p = proto::decode_pubrec(f, c.protocol);
    if (!p) return violation(c, p.error());
    session& s = session_of(c);
    outgoing& o = out_of(s);
    const auto at =
        std::find_if(o.inflight.begin(), o.inflight.end(), [&](const delivery& d) { return d.id == p->id; });
    if (at == o.inflight.end() || at->quality != proto::qos::exactly_once) {
        if (o.has_gap()) return keep_early(s, f.type, p->id, p->reason);
        if (is_error(p->reason)) return;
        proto::pubrel r;
        r.id = p->id;
        r.reason = proto::reason_code::packet_identifier_not_found; // v5 3.6.2.1
        if (c.problem_information) r.properties.reason_string = "no message with this packet identifier is in flight";
        proto::encode(r, c.protocol, out(c), c.packet_bytes_max);
        return;
    }
    if (rule<"v5[MQTT-4.3.3-3]", "v5[MQTT-4.4.0-2]", "v5[MQTT-4.8.2-6]">(is_error(p->reason))) return finish(s, at);
    if (rule<"v5[MQTT-4.3.3-6]", "v311[MQTT-4.3.3-1]">(at->phase != delivery_phase::released)) {
        at->phase = delivery_phase::released; // from here on no PUBLISH
        if (at->stored && durability_of(at->message->topic()) == durability::strict) {
            at->commit_serial = pending_persist_.serial;
            at->held = true;
            persist(persist::set_delivery{s.number, at->sequence, at->id, at->phase}, true);
            return wait_for_commit(s);
        }
        if (at->stored) persist(persist::set_delivery{s.number, at->sequence, at->id, at->phase}, false);
    }
    if (!at->held) send_pubrel(c, rule<"v5[MQTT-4.3.3-4]", "v311[MQTT-4.3.3-1]">(at->id));
}

void engine::on_pubcomp(connection& c, const proto::frame& f) {
    const auto p = proto::decode_pubcomp(f, c.protocol);
    if (!p) return violation(c, p.error());
    session& s = session_of(c);
    if (!s.out) return;
    auto& inflight = s.out->inflight;
    const auto at = std::find_if(inflight.begin(), inflight.end(), [&](const delivery& d) { return d.id == p->id; });
    if (at == inflight.end() || at->phase != delivery_phase::released) return keep_early(s, f.type, p->id, p->reason);
    if (rule<"v5[MQTT-4.3.3-5]", "v311[MQTT-4.3.3-1]">(true)) finish(s, at);
}

} // namespace fb::core
