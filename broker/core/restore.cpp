// Sessions as the state store gave them back, before the first connection.
#include <algorithm>

#include "broker/core/engine.hpp"

namespace fb::core {

void engine::number_from(std::uint64_t first_session, std::uint64_t first_message) noexcept {
    next_session_number_ = first_session + config_.shard;
    next_message_id_ = first_message + config_.shard;
}

void engine::restore(restored_session r, const instant& now) {
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
    for (delivery& d : r.queue) {
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
}

} // namespace fb::core
