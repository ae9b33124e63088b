// How connections and sessions end: DISCONNECT, wills, session expiry.
#include <algorithm>

#include "broker/core/engine.hpp"
#include "broker/core/wall_time.hpp"
#include "proto/rule.hpp"

namespace fb::core {
namespace {

std::int64_t after_seconds(std::int64_t mono_ms, std::uint32_t seconds) {
    return seconds == proto::session_never_expires ? never : mono_ms + seconds * 1000ll;
}

} // namespace

void engine::on_disconnect(connection& c, const proto::frame& f) {
    const auto p = proto::decode_disconnect(f, c.protocol);
    if (!p) return violation(c, p.error());
    if (c.phase == connection_phase::authenticating) return request_close(c, close_cause::client_disconnect, "");
    session& s = session_of(c);
    if (p->properties.session_expiry_s && *p->properties.session_expiry_s != s.expiry_s) {
        const bool asked_for_none = !s.durable() && config_.limits.session_expiry_max_s != 0;
        if (asked_for_none) { // what CONNECT set to 0 stays 0
            return violation(c, {proto::reason_code::protocol_error, "v5 3.14.2.2.2",
                                 "session expiry was 0 in CONNECT and cannot be raised"});
        }
        const bool was_durable = s.durable();
        s.expiry_s = std::min(*p->properties.session_expiry_s, config_.limits.session_expiry_max_s);
        // The client hears nothing that could wait for the commit; it may not come back all the same.
        if (was_durable && !s.durable()) persist(persist::delete_session{s.number}, true);
    }
    const bool in_peace = rule<"v5[MQTT-3.14.4-3]", "v5[MQTT-3.1.2-10]", "v311[MQTT-3.14.4-3]", "v311[MQTT-3.1.2-10]">(
        p->reason == proto::reason_code::success);
    if (in_peace) s.will.reset();
    // 0x04 and every error keep the will: request_close publishes it unless the client left in peace.
    request_close(c, in_peace ? close_cause::client_disconnect : close_cause::transport, "");
}

/// The session goes on without its connection, or ends with it.
void engine::detach(connection& c, bool will_goes) {
    session& s = session_of(c);
    const bool served = !c.connack_pending; // else nobody has heard of this connection yet, and its will does not count
    if (served) effects_.peers.push_back({effects_.next_order++, peer_event::kind::disconnected, reference_of(s), {}});
    counters_.connections.sub();
    shared_.counts.connections.fetch_sub(1, std::memory_order_relaxed);
    s.connection = {};
    update_share_state(s);
    if (s.in) keep_unfinished(s);
    if (s.out) {
        auto& o = *s.out;
        o.early.clear(); // the client will tell again
        std::erase_if(o.replays, [](const retained_replay& r) {
            return r.options.maximum_qos == proto::qos::at_most_once; // the rest goes on when the client comes back
        });
        o.backlog.clear();
        o.backlog_bytes = 0;
        erase_if(o.inflight, [&](const delivery& d) {
            if (d.live_only) o.inflight_bytes -= d.message->bytes();
            return d.live_only;
        });
        erase_if(o.waiting, [&](const delivery& d) {
            if (d.live_only) o.waiting_bytes -= d.message->bytes();
            return d.live_only;
        });
        hand_over_unsent(s);
        if (o.inflight.empty() && o.waiting.empty() && o.replays.empty()) s.out.reset();
    }
    if (!will_goes || !served) s.will.reset();
    s.ends_at_ms = after_seconds(now_.mono_ms, s.expiry_s);
    if (s.will) {
        s.will->due_ms = rule<"v5[MQTT-3.1.2-8]">(std::min(after_seconds(now_.mono_ms, s.will->delay_s), s.ends_at_ms));
    }
    if (s.will && rule<"v5[MQTT-3.1.2-8]", "v311[MQTT-3.1.2-8]">(s.will->due_ms <= now_.mono_ms)) publish_will(s);
    if (rule<"v5[MQTT-3.1.2-23]", "v5[MQTT-4.1.0-2]", "v311[MQTT-3.1.2-6]", "v311[MQTT-3.1.2-5]">(!s.durable()))
        return end_session(s);
    persist_session(s, false);
    arm_session_deadline(s);
}

void engine::arm_session_deadline(session& s) {
    session_deadlines_.arm(s.slot, s.will ? std::min(s.will->due_ms, s.ends_at_ms) : s.ends_at_ms);
}

void engine::publish_will(session& s) {
    const message_ptr kept = s.will->message;
    const message& w = *kept;
    if (rule<"v5[MQTT-3.1.2-10]", "v311[MQTT-3.1.2-10]">(true)) s.will.reset(); // sent once
    message_parts parts;
    parts.topic = w.topic();
    parts.properties = w.properties();
    parts.payload = w.payload();
    parts.quality = w.quality();
    parts.retain =
        rule<"v5[MQTT-3.1.2-14]", "v5[MQTT-3.1.2-15]", "v311[MQTT-3.1.2-16]", "v311[MQTT-3.1.2-17]">(w.retain());
    parts.publisher = w.publisher();
    if (w.expires_mono_ms() != never) parts.expires_mono_ms = now_.mono_ms + w.expires_mono_ms();
    counters_.wills_published.add();
    route(make_message(parts), &s, {}, false);
    if (s.durable()) persist_session(s, false);
}

void engine::end_session(session& s) {
    reached<"v311[MQTT-3.1.2-7]">(); // the retained store is not the session's
    if (s.will) publish_will(s);     // v5 3.1.3.2.2: at the latest when the session ends
    for (const subscription& sub : s.subscriptions) leave_index(s, sub);
    hand_over_rest(s);
    if (s.durable()) persist(persist::delete_session{s.number}, false);
    by_client_id_.erase(by_client_id_.find(s.client_id));
    shared_.counts.sessions.fetch_sub(1, std::memory_order_relaxed);
    counters_.sessions.sub();
    const std::uint32_t slot = s.slot;
    const std::uint32_t generation = s.generation;
    s = session{};
    s.slot = slot;
    s.generation = generation;
    session_deadlines_.clear(slot);
    free_sessions_.push_back(slot);
}

void engine::persist_session(const session& s, bool urgent) {
    if (store_refuses_ && !urgent) return put_off_.session_changed(s.slot);
    persist::put_session op;
    op.number = s.number;
    op.client_id = s.client_id;
    op.identity = s.identity;
    op.protocol = s.protocol;
    op.expiry_s = s.expiry_s;
    // Without a credible clock it counts as "ended at the next start": a gateway that wakes up in 1970 must not find,
    // once it knows the time, that all its sessions ended decades ago.
    op.ended_unix_ms = s.online() || now_.unix_ms < earliest_credible_unix_ms ? 0 : now_.unix_ms;
    if (s.will) {
        op.will = s.will->message;
        op.will_delay_s = s.will->delay_s;
    }
    persist(std::move(op), urgent);
}

} // namespace fb::core
