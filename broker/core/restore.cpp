// Sessions as the state store gave them back, before the first connection; and their queues, which may come later:
// until then nothing of QoS 1 and 2 is delivered, what is new waits behind a gap, and what the client acknowledges is
// kept.
#include <algorithm>
#include <utility>

#include "broker/core/engine.hpp"
#include "proto/rule.hpp"

namespace fb::core {

void engine::number_from(std::uint64_t first_session, std::uint64_t first_message) noexcept {
    next_session_number_ = first_session + config_.shard;
    next_message_id_ = first_message + config_.shard;
}

session_handle engine::restore(restored_session r, const instant& now) {
    now_ = now;
    sessions_.emplace_back();
    session& s = sessions_.back();
    s.slot = static_cast<std::uint32_t>(sessions_.size() - 1);
    s.generation = 1;
    s.live = true;
    s.number = r.number;
    s.publisher = publisher_of(r.client_id);
    s.client_id = r.client_id;
    s.identity = std::move(r.identity);
    s.protocol = r.protocol;
    s.expiry_s = r.expiry_s;
    auto nobody = std::make_shared<principal>();
    s.who = std::move(nobody);
    by_client_id_.emplace(std::move(r.client_id), s.slot);
    shared_.counts.sessions.fetch_add(1, std::memory_order_relaxed);
    counters_.sessions.add();

    s.subscriptions = std::move(r.subscriptions);
    for (subscription& sub : s.subscriptions) {
        enter_index(s, sub);
        if (sub.member) ++s.share_count;
    }
    put_back(s, std::move(r.queue));
    if (r.unread) {
        s.last_sequence = r.unread->last_sequence;
        delivery gap;
        gap.kept_apart = true;
        out_of(s).unread = r.unread->messages;
        s.out->waiting.push_back(std::move(gap));
    }
    if (!r.received.empty()) {
        s.in = std::make_unique<incoming>();
        s.in->received = std::move(r.received);
        std::sort(s.in->received.begin(), s.in->received.end());
        s.in->stored = s.in->received;
    }
    // One that was connected when we stopped ends its connection now. Time spent switched off counts where it is known;
    // a clock that went back must not end sessions early.
    const std::int64_t away_ms = r.ended_unix_ms == 0 ? 0 : std::max<std::int64_t>(0, now.unix_ms - r.ended_unix_ms);
    if (s.expiry_s != proto::session_never_expires) s.ends_at_ms = now.mono_ms + s.expiry_s * 1000ll - away_ms;
    if (r.will) {
        s.will = std::make_unique<session_will>();
        s.will->message = std::move(r.will);
        s.will->delay_s = r.will_delay_s;
        s.will->due_ms = std::min<std::int64_t>(now.mono_ms + r.will_delay_s * 1000ll - away_ms, s.ends_at_ms);
    }
    arm_session_deadline(s);
    const bool ends = s.ends_at_ms != never || s.will;
    if (ends && r.ended_unix_ms == 0) persist_session(s, false); // else a second power cut would start its time anew
    return handle_of(s);
}

void engine::put_back(session& s, std::vector<delivery> queue) {
    for (delivery& d : queue) {
        s.last_sequence = std::max(s.last_sequence, d.sequence);
        d.stored = true;
        d.attempted = d.phase != delivery_phase::queued;
        outgoing& o = out_of(s);
        if (d.attempted) {
            o.next_id = d.id == 65535 ? proto::packet_id{1} : static_cast<proto::packet_id>(d.id + 1);
            o.inflight_bytes += d.message->bytes();
            o.inflight.push_back(std::move(d));
        } else {
            o.waiting_bytes += d.message->bytes();
            o.waiting.push_back(std::move(d));
        }
    }
}

void engine::restore_queue(const session_handle& h, std::vector<delivery> queue, const instant& now) {
    now_ = now;
    session* const s = find(h);
    if (s == nullptr || !s->out || !s->out->has_gap()) return; // it ended first
    outgoing& o = *s->out;
    ring<delivery> since;
    since.swap(o.waiting);
    since.pop_front(); // the gap
    o.unread = 0;
    put_back(*s, std::move(queue));
    if (rule<"v5[MQTT-4.6.0-5]", "v5[MQTT-4.6.0-6]", "v311[MQTT-4.6.0-5]", "v311[MQTT-4.6.0-6]">(true)) {
        for (delivery& d : since) o.waiting.push_back(std::move(d));
    }
    update_share_state(*s);
    connection* const c = connection_of(*s);
    if (c == nullptr) return;
    recheck_queue(*s);
    if (rule<"v5[MQTT-4.4.0-1]", "v311[MQTT-4.4.0-1]">(true)) redeliver(*c, *s);
    for (const early_ack& a : std::exchange(o.early, {})) {
        const char body[] = {static_cast<char>(a.id >> 8), static_cast<char>(a.id), static_cast<char>(a.reason)};
        const std::size_t bytes = c->protocol == proto::version::v5 ? 3 : 2;
        const std::uint8_t flags = 0;
        dispatch(*c, {a.type, flags, {body, bytes}, static_cast<std::uint32_t>(bytes + 2), 0});
    }
    pump(*s);
}

/// An acknowledgement that fits nothing we know of may be of what the state store still has.
void engine::keep_early(session& s, proto::packet_type type, proto::packet_id id, proto::reason_code reason) {
    const std::size_t most = 2 * std::size_t{config_.limits.inflight_max}; // PUBREC and PUBCOMP of each
    if (s.out->has_gap() && s.out->early.size() < most) s.out->early.push_back({type, id, reason});
}

} // namespace fb::core
