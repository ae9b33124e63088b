// The retained messages a new subscription gets: step by step, as fast as the client reads, however many they are. What
// is published meanwhile does not wait behind them.
#include <algorithm>

#include "broker/core/engine.hpp"
#include "proto/rule.hpp"

namespace fb::core {
namespace {
constexpr int steps_per_turn_max = 16; // through the retained store, for one session
} // namespace

void engine::send_retained(session& s, const subscription& sub) {
    forget_replay(s, sub.filter); // subscribed again: from the beginning
    retained_replay r;
    r.walk = shared_.retained.begin(sub.filter);
    r.options = sub.options;
    if (sub.id != 0) {
        auto own = boost::intrusive_ptr<id_list>(new id_list);
        own->ids.push_back(sub.id);
        r.ids = {own, 0, 1};
    }
    out_of(s).replays.push_back(std::move(r));
    pump(s);
}

void engine::forget_replay(session& s, std::string_view filter) {
    if (s.out) std::erase_if(s.out->replays, [&](const retained_replay& r) { return r.walk.filter == filter; });
}

void engine::replay_retained(connection& c, session& s) {
    outgoing& o = *s.out;
    o.replaying = true;              // delivering pumps
    o.replays.front().fresh = false; // others may have published since
    for (int steps = 0; !o.replays.empty();) {
        retained_replay& r = o.replays.front();
        if (r.next < r.found.size()) {
            const message_ptr m = r.found[r.next];
            if (!room_for_replay(c, s, proto::min(m->quality(), r.options.maximum_qos))) break;
            ++r.next;
            if (!r.fresh && !shared_.retained.holds(*m)) continue;    // else the old one would come after the new one
            if (!m->expired(now_.mono_ms)) deliver_retained(s, r, m); // v5[MQTT-3.3.2-5]: it may have waited for room
            continue;
        }
        r.found.clear();
        r.next = 0;
        if (r.walk.done) {
            o.replays.erase(o.replays.begin());
        } else if (steps++ < steps_per_turn_max) {
            shared_.retained.next(r.walk, now_.mono_ms, r.found);
            r.fresh = true;
        } else {
            connection_deadlines_.arm(c.slot, now_.mono_ms); // others first
            break;
        }
    }
    o.replaying = false;
}

bool engine::room_for_replay(const connection& c, const session& s, proto::qos quality) const {
    const outgoing& o = *s.out;
    if (quality != proto::qos::at_most_once) return o.waiting.empty() && window_open(c, o);
    return o.backlog.empty() && (!c.output || c.output->size() < output_bytes_high());
}

void engine::deliver_retained(session& s, const retained_replay& r, const message_ptr& m) {
    if (rule<"v5[MQTT-3.8.3-3]">(r.options.no_local && m->publisher() == s.publisher)) return;
    delivery d;
    d.message = m;
    d.ids = r.ids;
    d.quality = rule<"v5[MQTT-3.8.4-8]", "v311[MQTT-3.8.4-6]">(proto::min(m->quality(), r.options.maximum_qos));
    d.retain = rule<"v311[MQTT-3.3.1-8]">(true); // v5 3.3.1.3
    if (d.quality == proto::qos::at_most_once)
        deliver_at_most_once(s, std::move(d));
    else
        enqueue(s, std::move(d), kept_as(*m, false, false));
}

} // namespace fb::core
