// One publication to everybody who wants it: own sessions, other shards, the in-process client, the retained store.
#include <algorithm>
#include <functional>

#include "broker/core/engine.hpp"
#include "proto/rule.hpp"
#include "proto/topic.hpp"

namespace fb::core {

message_ptr engine::make_message(message_parts parts) {
    parts.id = next_message_id_;
    next_message_id_ += config_.shard_count;
    const bool spills = memory_level() >= memory_level::spilling;
    return message::make(parts, spills ? config_.spill : nullptr);
}

durability engine::durability_of(std::string_view topic) const {
    if (topic.starts_with("$SYS/")) return durability::none; // true for this run only
    const durability_rule* best = nullptr;
    for (const durability_rule& rule : config_.durability_rules) {
        if (best != nullptr && rule.filter.size() <= best->filter.size()) continue;
        if (proto::topic_matches(rule.filter, topic)) best = &rule;
    }
    return best != nullptr ? best->value : config_.otherwise;
}

engine::route_outcome engine::route(const message_ptr& m, session* from, const ack_token& token, bool live_only) {
    route_outcome result;
    match_list_ptr list;
    const bool together = must_be_one_commit(*m, from, token, live_only);
    // Retained messages give no memory back by themselves: with more of them publishers would wait for ever.
    const bool no_room = m->retain() && !live_only && !m->payload().empty() && memory_level() >= memory_level::full;
    if (no_room) counters_.retained_refused.add();
    if (rule<"v5[MQTT-3.3.1-5]", "v5[MQTT-3.3.1-8]", "v311[MQTT-3.3.1-5]", "v311[MQTT-3.3.1-12]">(
            !m->retain() || live_only || no_room)) {
        list = cache_.lookup(m->topic());
        // Behind a retained message that is still in our own inbox.
        const bool own_too = rule<"v5[MQTT-4.6.0-5]", "v5[MQTT-4.6.0-6]", "v311[MQTT-4.6.0-5]", "v311[MQTT-4.6.0-6]">(
            own_crossings_ > 0);
        result.parts = cross(m, list, token, live_only, own_too, together);
        if (together && result.parts > 0)
            gather(m, own_too ? nullptr : list.get(), result.parts);
        else if (!own_too)
            result.stored = deliver_own(m, *list, live_only, bool(token));
    } else {
        const durability kept = durability_of(m->topic());
        const bool wait = kept == durability::strict && token;
        const auto under_stripe = [&](retained::outcome stored, std::uint64_t version) {
            if (stored == retained::outcome::full) {
                counters_.retained_refused.add();
            } else if (kept != durability::none && (wait || stored != retained::outcome::nothing_to_clear)) {
                // `wait`: what cleared it before may not be committed yet.
                persist(persist::put_retained{version, m}, wait);
                result.stored = wait;
            }
            // A subscriber who has not read this message from the store is in the list by now.
            list = cache_.lookup(m->topic());
            // Under the stripe, so that all shards see the writers of one topic in one order.
            if (config_.shard_count > 1) {
                result.parts = cross(m, list, token, live_only, true, together);
                if (together && result.parts > 0) gather(m, nullptr, result.parts);
                crossings_.deliver_sent();
            }
        };
        if (shared_.retained.full_for(m->bytes())) drop_expired_retained();
        shared_.retained.store(m, std::ref(under_stripe)); // by reference: a std::function would allocate for a copy
        if (config_.shard_count == 1) result.stored |= deliver_own(m, *list, live_only, bool(token));
    }
    if (!list->shares.empty()) deliver_shares(m, *list, token, live_only, result);
    result.matched = !list->entries.empty() || !list->shares.empty();
    result.parts = static_cast<std::uint16_t>(result.parts + deliver_local(m, *list, from, token));
    return result;
}

/// Expired messages are passed over when they are asked for; they go when their room is needed.
void engine::drop_expired_retained() {
    shared_.retained.drop_expired(now_.mono_ms, [&](const message_ptr& m, std::uint64_t version) {
        message_parts clear;
        clear.topic = m->topic();
        clear.retain = true;
        persist(persist::put_retained{version, make_message(clear)}, false);
    });
}

/// The other shards' part of the list: one crossing each. Returns how many answers the token waits for.
std::uint16_t engine::cross(const message_ptr& m, const match_list_ptr& list, const ack_token& token, bool live_only,
                            bool own_too, bool together) {
    std::uint16_t parts = 0;
    const auto& entries = list->entries;
    for (auto at = entries.begin(); at != entries.end() && at->session.shard != local_shard;) {
        const shard_id shard = at->session.shard;
        bool must_keep = false;
        for (; at != entries.end() && at->session.shard == shard; ++at) {
            must_keep |= at->durable && at->quality != proto::qos::at_most_once;
        }
        if (shard == config_.shard && !own_too) continue;
        const bool answer = token && must_keep && !live_only && durability_of(m->topic()) == durability::strict;
        counters_.crossings_sent.add();
        const bool own = shard == config_.shard;
        if (own) ++own_crossings_;
        crossings_.send(shard, routed{m, list, live_only, answer ? token : ack_token{}, own, together && answer});
        if (answer) ++parts;
    }
    return parts;
}

/// In a long list each session and its connection are cache misses: those of the next entries are fetched meanwhile.
void engine::look_ahead(std::span<const match_entry> next) const {
    constexpr std::size_t sessions_ahead = 6, connections_ahead = 3;
    const auto fetch = [](const void* at) { __builtin_prefetch(at); };
    if (next.size() > sessions_ahead && next[sessions_ahead].session.shard == config_.shard) {
        const session& s = sessions_[next[sessions_ahead].session.slot];
        fetch(&s);
        fetch(&s.publisher);
        fetch(&s.connection);
        fetch(&s.out);
    }
    if (next.size() > connections_ahead && next[connections_ahead].session.shard == config_.shard) {
        const connection_handle c = sessions_[next[connections_ahead].session.slot].connection;
        if (!c) return;
        fetch(&connections_[c.slot]);
        fetch(&connections_[c.slot].output);
    }
}

/// Our part of the list. True when something must be committed before the publisher hears of it.
bool engine::deliver_own(const message_ptr& m, const match_list& list, bool live_only, bool awaited) {
    const auto& entries = list.entries;
    auto at = std::lower_bound(entries.begin(), entries.end(), config_.shard,
                               [](const match_entry& e, shard_id shard) { return e.session.shard < shard; });
    bool stored = false;
    for (; at != entries.end() && at->session.shard == config_.shard; ++at) {
        look_ahead({at, entries.end()});
        stored |= deliver_entry(m, list, *at, live_only, awaited);
    }
    return stored;
}

bool engine::deliver_entry(const message_ptr& m, const match_list& list, const match_entry& entry, bool live_only,
                           bool awaited) {
    session* s = find(entry.session);
    if (s == nullptr || (live_only && !s->online())) return false;
    const bool own = rule<"v5[MQTT-3.8.3-3]">(entry.some_no_local && m->publisher() == s->publisher);
    const match_entry* without_no_local = own ? list.own_entry(entry.session) : nullptr;
    if (own && without_no_local == nullptr) return false;
    const match_entry& e = own ? *without_no_local : entry;
    delivery d;
    d.message = m;
    d.quality = rule<"v5[MQTT-3.8.4-8]", "v5[MQTT-3.3.4-2]", "v311[MQTT-3.8.4-6]", "v311[MQTT-3.3.5-1]">(
        proto::min(m->quality(), e.quality));
    d.retain = rule<"v5[MQTT-3.3.1-12]", "v5[MQTT-3.3.1-13]", "v311[MQTT-3.3.1-9]", "v311[MQTT-3.3.1-10]">(
        m->retain() && e.retain_as_published);
    d.live_only = live_only;
    if (e.id_count != 0) d.ids = {list.ids, e.first_id, e.id_count};
    if (rule<"v5[MQTT-4.5.0-1]", "v311[MQTT-4.5.0-1]", "v311[MQTT-3.1.2-5]">(d.quality == proto::qos::at_most_once)) {
        deliver_at_most_once(*s, std::move(d));
        return false;
    }
    return enqueue(*s, std::move(d), kept_as(*m, live_only, awaited));
}

/// The identifiers of the session's own matching subscriptions, for what does not come from the index.
void engine::add_subscription_ids(const session& s, delivery& d) const {
    auto ids = boost::intrusive_ptr<id_list>(new id_list);
    for (const subscription& sub : s.subscriptions) {
        if (sub.id != 0 && proto::topic_matches(sub.filter, d.message->topic())) ids->ids.push_back(sub.id);
    }
    const auto count = static_cast<std::uint32_t>(ids->ids.size());
    d.ids = count != 0 ? id_range{ids, 0, count} : id_range{};
}

/// The in-process client's part: it gets what remote peers publish, never its own publications.
std::uint16_t engine::deliver_local(const message_ptr& m, const match_list& list, session* from,
                                    const ack_token& token) {
    if (from == nullptr || list.entries.empty() || list.entries.back().session.shard != local_shard) return 0;
    const bool answer = token && m->quality() != proto::qos::at_most_once;
    effects_.local.push_back({effects_.next_order++, reference_of(*from), m, answer ? token : ack_token{}});
    return answer ? 1 : 0;
}

void engine::publish_live(const local_publish& p, const instant& now) {
    now_ = now;
    message_parts parts;
    parts.topic = p.topic;
    parts.payload = p.payload;
    parts.quality = p.quality;
    if (p.expiry_s != 0) parts.expires_mono_ms = now.mono_ms + p.expiry_s * 1000ll;
    route(make_message(parts), nullptr, {}, true);
}

void engine::publish_system(std::string_view topic, std::string_view payload, const instant& now) {
    now_ = now;
    message_parts parts;
    parts.topic = topic;
    parts.payload = payload;
    parts.retain = true;
    route(make_message(parts), nullptr, {}, false);
}

void engine::deliver(const direct_delivery& d, const instant& now) {
    now_ = now;
    message_parts parts;
    parts.topic = d.topic;
    parts.payload = d.payload;
    parts.properties = d.properties;
    const message_ptr m = make_message(parts);
    session* s = find(d.to);
    if (s != nullptr && s->online() && s->epoch == d.epoch) {
        const auto sub = std::find_if(s->subscriptions.begin(), s->subscriptions.end(),
                                      [&](const subscription& x) { return proto::topic_matches(x.filter, d.topic); });
        if (sub != s->subscriptions.end()) {
            delivery one;
            one.message = m;
            one.live_only = true;
            add_subscription_ids(*s, one);
            return deliver_at_most_once(*s, std::move(one));
        }
    }
    route(m, nullptr, {}, true); // the asker may read with another of its connections
}

} // namespace fb::core
