// SUBSCRIBE and UNSUBSCRIBE, and the retained messages a new subscription gets.
#include <algorithm>

#include "broker/core/engine.hpp"
#include "proto/rule.hpp"
#include "proto/topic.hpp"

namespace fb::core {

void engine::on_subscribe(connection& c, const proto::frame& f) {
    const auto p = proto::decode_subscribe(f, c.protocol);
    if (!p) return violation(c, p.error());
    if (too_many_user_properties(c, p->properties.user)) return;
    session& s = session_of(c);
    if (store_refuses_ && s.durable()) return refuse_to_store(c);
    const proto::packet_id packet = rule<"v5[MQTT-2.2.1-6]", "v5[MQTT-3.8.4-1]", "v5[MQTT-3.8.4-2]",
                                         "v311[MQTT-2.3.1-7]", "v311[MQTT-3.8.4-1]", "v311[MQTT-3.8.4-2]">(p->id);
    pending_ack& a = owe(s, proto::packet_type::suback, packet);
    const std::uint32_t number = a.number;
    std::vector<proto::reason_code> reasons;
    std::string text;
    std::string_view limit;
    for (const proto::topic_request& r : p->requests) {
        explanation why;
        const auto reason = subscribe_one(c, s, r, p->properties.subscription_id.value_or(0), why);
        if (text.empty() && is_error(reason)) { // of several the first: a reason string is one sentence
            text = "filter " + std::to_string(reasons.size() + 1) + ": " + std::string(why.text);
            limit = why.limit;
        }
        if (rule<"v5[MQTT-3.8.4-5]", "v5[MQTT-3.8.4-6]", "v5[MQTT-3.9.3-1]", "v311[MQTT-3.8.4-4]", "v311[MQTT-3.8.4-5]",
                 "v311[MQTT-3.9.3-1]">(true))
            reasons.push_back(reason); // one each, in their order
    }
    const auto at =
        std::find_if(s.in->acks.begin(), s.in->acks.end(), [&](const pending_ack& x) { return x.number == number; });
    at->reasons = std::move(reasons);
    at->text = std::move(text);
    at->limit = limit;
    if (s.durable() && !pending_persist_.operations.empty()) {
        at->serial = pending_persist_.serial;
        pending_persist_.urgent = true;
        wait_for_commit(s);
    }
    settle(c, s);
    pump(s);
}

proto::reason_code engine::subscribe_one(connection& c, session& s, const proto::topic_request& r, std::uint32_t id,
                                         explanation& why) {
    using proto::reason_code;
    const limits& l = config_.limits;
    const auto share = proto::parse_share(r.filter);
    const std::string_view filter = share ? share->filter : r.filter;
    const auto refuse = [&why](reason_code reason, const explanation& because) {
        why = because;
        return reason;
    };
    if (r.filter.size() > l.topic_bytes_max) {
        return refuse(reason_code::topic_filter_invalid, {"it is longer than this gateway allows", "topic_bytes_max"});
    }
    if (proto::topic_levels(r.filter) > l.topic_levels_max) {
        return refuse(reason_code::topic_filter_invalid,
                      {"it has more levels than this gateway allows", "topic_levels_max"});
    }
    if (!config_.acl.may_subscribe(*c.info.who, filter)) {
        return refuse(reason_code::not_authorized, "this client may not subscribe to it");
    }
    const auto known = std::find_if(s.subscriptions.begin(), s.subscriptions.end(),
                                    [&](const subscription& x) { return x.filter == r.filter; });
    const bool is_new = known == s.subscriptions.end();
    if (is_new && s.subscriptions.size() >= l.subscriptions_max) {
        return refuse(reason_code::quota_exceeded, {"this client has as many as it may have", "subscriptions_max"});
    }

    const bool replaces = rule<"v5[MQTT-3.8.4-3]", "v311[MQTT-3.8.4-3]">(!is_new);
    subscription& sub = replaces ? *known : s.subscriptions.emplace_back();
    sub.filter = r.filter;
    sub.options = r.options;
    sub.id = id;
    if (is_new && share) {
        ++s.share_count;
        update_share_state(s);
    }
    enter_index(s, sub);
    if (s.durable()) persist(persist::put_subscription{s.number, sub.filter, sub.options, sub.id}, true);
    effects_.peers.push_back({effects_.next_order++, peer_event::kind::subscribed, reference_of(s), sub.filter});

    const auto how = sub.options.retained;
    const bool always = rule<"v5[MQTT-3.3.1-9]", "v5[MQTT-3.8.4-4]", "v311[MQTT-3.3.1-6]", "v311[MQTT-3.8.4-3]">(
        how == proto::retain_handling::send);
    const bool now =
        rule<"v5[MQTT-3.3.1-10]", "v5[MQTT-3.3.1-11]">(how == proto::retain_handling::send_if_new && is_new);
    if (!share && (always || now)) send_retained(s, sub); // v5 4.8.2: a shared subscription gets none
    const auto granted = static_cast<std::uint8_t>(sub.options.maximum_qos);
    return static_cast<reason_code>(
        rule<"v5[MQTT-3.2.2-10]", "v5[MQTT-3.8.4-7]", "v5[MQTT-3.9.3-2]", "v311[MQTT-3.8.4-5]">(granted));
}

bool engine::too_many_user_properties(connection& c, const proto::user_properties& user) {
    if (user.count() <= config_.limits.user_properties_max) return false;
    disconnect(c, proto::reason_code::quota_exceeded, close_cause::overload,
               {"more user properties than this gateway allows", "user_properties_max"});
    return true;
}

/// Adds or replaces it where publications look.
void engine::enter_index(session& s, subscription& sub) {
    const subscriber who{handle_of(s), sub.options, sub.id, s.durable()};
    if (const auto share = proto::parse_share(sub.filter))
        sub.member = shared_.index.join(*share, who, s.state);
    else
        shared_.index.subscribe(sub.filter, who);
}

void engine::leave_index(session& s, const subscription& sub) {
    if (const auto share = proto::parse_share(sub.filter)) // only this one, not its group
        shared_.index.leave(*share, handle_of(s));
    else
        shared_.index.unsubscribe(sub.filter, handle_of(s));
}

/// A session that comes back after a restart may have lost rights since it subscribed: what they do not cover any more
/// is not served, nor what waits of it (the class of CVE-2021-34434).
void engine::recheck_rights(session& s) {
    std::erase_if(s.subscriptions, [&](const subscription& sub) {
        const auto share = proto::parse_share(sub.filter);
        if (config_.acl.may_subscribe(*s.who, share ? share->filter : sub.filter)) return false;
        leave_index(s, sub);
        forget_replay(s, sub.filter);
        if (sub.member) --s.share_count;
        if (s.durable()) persist(persist::delete_subscription{s.number, sub.filter}, false);
        return true;
    });
    recheck_queue(s);
}

void engine::recheck_queue(session& s) {
    if (!s.out) return;
    erase_if(s.out->waiting, [&](const delivery& d) {
        if (!d.message || config_.acl.may_subscribe(*s.who, d.message->topic())) return false;
        s.out->waiting_bytes -= d.message->bytes();
        drop_row(s, d);
        return true;
    });
}

void engine::on_unsubscribe(connection& c, const proto::frame& f) {
    const auto p = proto::decode_unsubscribe(f, c.protocol);
    if (!p) return violation(c, p.error());
    if (too_many_user_properties(c, p->user)) return;
    session& s = session_of(c);
    if (store_refuses_ && s.durable()) return refuse_to_store(c);
    const proto::packet_id packet = rule<"v5[MQTT-2.2.1-6]", "v5[MQTT-3.10.4-4]", "v5[MQTT-3.10.4-5]",
                                         "v311[MQTT-2.3.1-7]", "v311[MQTT-3.10.4-4]", "v311[MQTT-3.10.4-5]">(p->id);
    pending_ack& a = owe(s, proto::packet_type::unsuback, packet);
    for (std::string_view filter : p->filters) {
        const auto at = std::find_if(s.subscriptions.begin(), s.subscriptions.end(), [&](const subscription& x) {
            return rule<"v5[MQTT-3.10.4-1]", "v311[MQTT-3.10.4-1]">(x.filter == filter); // character by character
        });
        using enum proto::reason_code;
        const bool known = rule<"v5[MQTT-3.11.3-1]", "v5[MQTT-3.11.3-2]">(at != s.subscriptions.end());
        a.reasons.push_back(known ? success : no_subscription_existed); // in their order
        if (!known) continue;
        if (rule<"v5[MQTT-3.10.4-2]", "v5[MQTT-3.10.4-6]", "v311[MQTT-3.10.4-2]", "v311[MQTT-3.10.4-6]">(true))
            leave_index(s, *at);
        if (at->member) --s.share_count;
        forget_replay(s, at->filter);
        if (s.durable()) persist(persist::delete_subscription{s.number, at->filter}, true);
        effects_.peers.push_back(
            {effects_.next_order++, peer_event::kind::unsubscribed, reference_of(s), std::move(at->filter)});
        reached<"v5[MQTT-3.10.4-3]", "v311[MQTT-3.10.4-3]">(); // what is queued stays queued
        s.subscriptions.erase(at);
    }
    if (s.durable()) hold_until_durable(s, a);
    settle(c, s);
}

} // namespace fb::core
