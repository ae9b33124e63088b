// Shared subscriptions (v5 4.8.2): each message goes to one member, who is chosen where it was published: the next in
// turn that is connected and not behind; else one that is connected; else one whose session would keep it.
//
// What a member has been chosen for but has not been sent goes to another when its connection ends; what it was sent
// with QoS 1 and did not acknowledge, when its session ends. QoS 2 once sent stays.
#include <algorithm>
#include <iterator>

#include "broker/core/engine.hpp"
#include "proto/rule.hpp"

namespace fb::core {

void engine::deliver_shares(const message_ptr& m, const match_list& list, const ack_token& token, bool live_only,
                            route_outcome& result) {
    const bool strict = token && m->quality() != proto::qos::at_most_once && !live_only &&
                        durability_of(m->topic()) == durability::strict;
    for (const match_share& share : list.shares) {
        share_routed r;
        r.message = m;
        r.group = share.group;
        r.live_only = live_only;
        const auto& all = share.members->all;
        const bool kept = std::any_of(all.begin(), all.end(), [&](const auto& x) { return x->keeps(m->quality()); });
        if (strict && kept) r.token = token;
        bool away = false;
        result.stored |= give(std::move(r), *share.members, away);
        if (away && strict && kept) ++result.parts;
    }
}

/// Finds a member who takes it, here or on another shard (`away`). True when it was stored here.
bool engine::give(share_routed r, const share_members& members, bool& away) {
    for (;;) {
        r.member = choose(r, members);
        if (!r.member) {
            if (r.before.session != 0) persist(persist::dequeue{r.before.session, r.before.sequence}, false);
            counters_.dropped_no_member.add();
            return false;
        }
        const shard_id shard = r.member->session.shard;
        // Behind what is still in our own inbox.
        if (shard != config_.shard || own_crossings_ > 0) {
            away = true;
            r.own = shard == config_.shard;
            if (r.own) ++own_crossings_;
            counters_.crossings_sent.add();
            crossings_.send(shard, std::move(r));
            return false;
        }
        const share_result result = take_share(r);
        if (result != share_result::refused) return result == share_result::stored;
        r.passed_over.push_back(r.member);
    }
}

/// Null when nobody is left. A message for nobody in particular must not wait for one who is away.
share_member_ptr engine::choose(const share_routed& r, const share_members& members) const {
    const auto& all = members.all;
    const std::size_t first = r.group->turn.fetch_add(1, std::memory_order_relaxed);
    share_member_ptr best;
    auto best_state = share_state::offline;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const share_member_ptr& m = all[(first + i) % all.size()];
        const share_state state = m->state.load(std::memory_order_relaxed);
        if (state == share_state::offline && (r.live_only || !m->keeps(r.message->quality()))) continue;
        if (best && state <= best_state) continue;
        if (std::find(r.passed_over.begin(), r.passed_over.end(), m) != r.passed_over.end()) continue;
        best = m;
        best_state = state;
        if (state == share_state::ready) break;
    }
    return best;
}

engine::share_result engine::take_share(const share_routed& r) {
    session* s = find(r.member->session);
    if (s == nullptr || (!s->online() && (r.live_only || !r.member->keeps(r.message->quality())))) {
        return share_result::refused;
    }
    delivery d;
    d.message = r.message;
    d.share = r.group;
    d.quality = rule<"v5[MQTT-4.8.2-3]">(proto::min(r.message->quality(), r.member->options.maximum_qos));
    d.retain = r.message->retain() && r.member->options.retain_as_published;
    d.live_only = r.live_only;
    if (rule<"v5[MQTT-3.3.4-5]">(r.member->ids != nullptr))
        d.ids = {r.member->ids, 0, static_cast<std::uint32_t>(r.member->ids->ids.size())};
    const bool once = d.quality == proto::qos::at_most_once;
    if (!once && queue_full(*s, *r.message)) return share_result::refused;
    bool stored = false;
    if (once)
        deliver_at_most_once(*s, std::move(d));
    else
        stored = enqueue(*s, std::move(d),
                         r.before.session != 0 ? durability_of(r.message->topic())
                                               : kept_as(*r.message, r.live_only, bool(r.token)));
    // In the same batch as the new row: a power cut leaves one of the two.
    if (r.before.session != 0) persist(persist::dequeue{r.before.session, r.before.sequence}, true);
    return stored ? share_result::stored : share_result::taken;
}

/// From another shard (or our own inbox): ours to deliver, or to pass on.
void engine::on_share_routed(share_routed r) {
    if (r.own) --own_crossings_;
    const ack_token token = r.token;
    bool away = false;
    bool stored = false;
    if (const share_result result = take_share(r); result == share_result::refused) {
        r.passed_over.push_back(r.member);
        const share_members_ptr members = shared_.index.members_of(*r.group);
        stored = give(std::move(r), *members, away);
    } else {
        stored = result == share_result::stored;
    }
    if (!token || away) return; // away: whoever has it now will answer
    if (stored)
        commit_waiters_.push_back({pending_persist_.serial, {}, token});
    else
        crossings_.send(token.session.shard, part_done{.token = token});
}

/// Tells the other shards whether this session can take more.
void engine::update_share_state(session& s) {
    if (s.share_count == 0) return;
    const bool behind = s.out && (!s.out->waiting.empty() || !s.out->backlog.empty());
    const share_state now = !s.online() ? share_state::offline : behind ? share_state::busy : share_state::ready;
    if (now == s.state) return;
    s.state = now;
    for (const subscription& sub : s.subscriptions) {
        if (sub.member) sub.member->state.store(now, std::memory_order_relaxed);
    }
}

/// The connection ended: what it has not seen goes to members who are connected, if there are any.
void engine::hand_over_unsent(session& s) {
    if (s.share_count == 0 || !s.out) return;
    const auto leaves = [&](const delivery& d) {
        const bool begun = rule<"v5[MQTT-4.8.2-4]">(d.phase != delivery_phase::queued);
        if (!d.share || begun || d.message->expired(now_.mono_ms)) return false;
        if (store_refuses_ && d.stored) return false; // its row cannot go along
        const share_members_ptr members = shared_.index.members_of(*d.share);
        return std::any_of(members->all.begin(), members->all.end(), [](const auto& m) {
            return m->state.load(std::memory_order_relaxed) != share_state::offline;
        });
    };
    auto& waiting = s.out->waiting;
    const auto first =
        std::stable_partition(waiting.begin(), waiting.end(), [&](const delivery& d) { return !leaves(d); });
    // Taken out before any goes: should nobody else have room, one comes back to this very queue.
    const std::vector<delivery> leaving(std::make_move_iterator(first), std::make_move_iterator(waiting.end()));
    waiting.erase(first, waiting.end());
    for (const delivery& d : leaving) {
        s.out->waiting_bytes -= d.message->bytes();
        hand_over(s, d);
    }
}

/// The session ended, and it has left its groups: what it has not acknowledged goes to others, connected or not. Not
/// QoS 2 that was sent.
void engine::hand_over_rest(session& s) {
    if (!s.out) return;
    const std::unique_ptr<outgoing> left = std::move(s.out);
    for (auto* list : {&left->inflight, &left->waiting}) {
        for (const delivery& d : *list) {
            const bool twice = d.quality == proto::qos::exactly_once;
            const bool sent_twice = rule<"v5[MQTT-4.8.2-5]">(twice && d.phase != delivery_phase::queued);
            if (d.share && !sent_twice && !d.message->expired(now_.mono_ms)) hand_over(s, d);
        }
    }
}

/// The publisher had its acknowledgement: nobody waits for this.
void engine::hand_over(const session& s, const delivery& d) {
    share_routed r;
    r.message = d.message;
    r.group = d.share;
    r.live_only = d.live_only;
    if (d.stored) r.before = {s.number, d.sequence};
    bool away = false;
    give(std::move(r), *shared_.index.members_of(*d.share), away);
}

} // namespace fb::core
