// PUBLISH from a client: normalise (alias), validate, authorise, act, in that order and each once; PUBREL.
#include <algorithm>

#include "broker/core/engine.hpp"
#include "proto/rule.hpp"
#include "proto/topic.hpp"
#include "proto/utf8.hpp"

namespace fb::core {
namespace {
constexpr std::size_t forward_block_kept_max = 4096; // bytes
} // namespace

void engine::on_publish(connection& c, const proto::frame& f) {
    auto p = proto::decode_publish(f, c.protocol);
    if (!p) return violation(c, p.error());
    counters_.publishes_received.add();
    c.publishes = true;
    session& s = session_of(c);
    if (!resolve_alias(c, *p)) return;
    if (!within_receive_maximum(c, s, *p)) return;
    auto reason = proto::reason_code::success;
    const explanation why_not = refusal(*c.info.who, p->topic, p->properties, p->payload, reason);
    if (reason != proto::reason_code::success) return publish_refused(c, s, *p, reason, why_not);
    if (store_refuses_ && must_be_stored(s, *p)) return refuse_to_store(c);
    accept_publish(c, s, *p);
}

/// Turns an alias into its topic, so that everything after this sees a whole topic.
bool engine::resolve_alias(connection& c, proto::publish& p) {
    if (!p.properties.topic_alias) return true;
    const std::uint16_t alias = *p.properties.topic_alias;
    if (!c.aliases_in) c.aliases_in = std::make_unique<inbound_aliases>(config_.limits.topic_alias_in_max);
    if (rule<"v5[MQTT-3.3.2-9]", "v5[MQTT-3.3.2-12]">(!c.aliases_in->in_range(alias))) {
        violation(c, {proto::reason_code::topic_alias_invalid, "v5[MQTT-3.3.2-9]", "topic alias above the maximum"});
        return false;
    }
    if (!p.topic.empty()) {
        if (rule<"v5[MQTT-3.3.2-12]">(true)) c.aliases_in->set(alias, p.topic);
        return true;
    }
    p.topic = c.aliases_in->get(alias);
    if (rule<"v5[MQTT-3.3.2-7]">(p.topic.empty())) {
        violation(c, {proto::reason_code::protocol_error, "v5 3.3.4", "topic alias was never set on this connection"});
        return false;
    }
    return true;
}

bool engine::within_receive_maximum(connection& c, session& s, const proto::publish& p) {
    if (p.quality == proto::qos::at_most_once || c.protocol != proto::version::v5 || !s.in) return true;
    const auto& acks = s.in->acks;
    const auto waiting = std::count_if(acks.begin(), acks.end(), [](const pending_ack& a) {
        return a.type == proto::packet_type::puback || (a.type == proto::packet_type::pubrec && !a.marks_received);
    });
    const auto& received = s.in->received;
    const bool again = std::binary_search(received.begin(), received.end(), p.id);
    const bool room = waiting + received.size() < std::size_t{config_.limits.receive_maximum} + c.received_before;
    if (!rule<"v5[MQTT-3.3.4-7]">(!again && !room)) return true; // the client's duty, ours to check
    violation(c, {proto::reason_code::receive_maximum_exceeded, "v5[MQTT-3.3.4-7]",
                  "more publications in flight than the gateway's Receive Maximum"});
    return false;
}

/// Why this publication or will is not accepted, with `reason` set; success when it is.
explanation engine::refusal(const principal& who, std::string_view topic, const proto::publish_properties& q,
                            std::string_view payload, proto::reason_code& reason) const {
    using proto::reason_code;
    const limits& l = config_.limits;
    if (topic.size() > l.topic_bytes_max) {
        reason = reason_code::topic_name_invalid;
        return {"the topic is longer than this gateway allows", "topic_bytes_max"};
    }
    if (proto::topic_levels(topic) > l.topic_levels_max) {
        reason = reason_code::topic_name_invalid;
        return {"the topic has more levels than this gateway allows", "topic_levels_max"};
    }
    if (topic.starts_with("$SYS/")) {
        reason = reason_code::not_authorized;
        return "$SYS/ belongs to the gateway";
    }
    if (q.user.count() > l.user_properties_max) {
        reason = reason_code::quota_exceeded; // CVE-2021-41039's class
        return {"more user properties than this gateway allows", "user_properties_max"};
    }
    if (config_.check_payload_format && q.payload_format == 1 && !proto::valid_utf8(payload)) {
        reason = reason_code::payload_format_invalid; // v5 3.3.2.3.2
        return "the payload is not the UTF-8 that its format indicator says";
    }
    if (!config_.acl.may_publish(who, topic)) {
        reason = reason_code::not_authorized;
        return "this client may not publish to this topic";
    }
    reason = reason_code::success;
    return {};
}

/// Told in the acknowledgement in MQTT 5. 3.1.1 has no way to tell: v311[MQTT-3.3.5-2] leaves an ordinary
/// acknowledgement or closing; we acknowledge, drop, log and count.
void engine::publish_refused(connection& c, session& s, const proto::publish& p, proto::reason_code reason,
                             const explanation& why) {
    counters_.publishes_refused.add();
    effects_.refusals.push_back({s.client_id, std::string(p.topic), why.text});
    if (p.quality == proto::qos::at_most_once) return;
    const bool twice = p.quality == proto::qos::exactly_once;
    // A refused id does not get into incoming::received (v5[MQTT-4.3.3-9]).
    const auto type = rule<"v311[MQTT-3.3.5-2]">(twice) ? proto::packet_type::pubrec : proto::packet_type::puback;
    pending_ack& a = owe(s, type, p.id);
    a.reason = reason;
    a.text = why.text;
    a.limit = why.limit;
    settle(c, s);
}

message_ptr engine::message_of(const session& s, const proto::publish& p) {
    forward_block_.clear();
    proto::append_forward_block(p.properties, forward_block_);
    message_parts parts;
    parts.topic = p.topic;
    parts.properties = forward_block_;
    parts.payload = p.payload;
    parts.quality = p.quality;
    parts.retain = p.retain;
    parts.publisher = s.publisher;
    if (p.properties.message_expiry_s) parts.expires_mono_ms = now_.mono_ms + *p.properties.message_expiry_s * 1000ll;
    message_ptr m = make_message(parts);
    if (forward_block_.capacity() > forward_block_kept_max) std::string().swap(forward_block_);
    return m;
}

void engine::accept_publish(connection& c, session& s, const proto::publish& p) {
    const bool twice = p.quality == proto::qos::exactly_once;
    if (rule<"v5[MQTT-4.3.2-5]", "v311[MQTT-4.3.2-2]">(twice && s.in)) {
        auto& received = s.in->received;
        const auto at = std::lower_bound(received.begin(), received.end(), p.id);
        const bool already_routed = at != received.end() && *at == p.id;
        if (rule<"v5[MQTT-4.3.3-10]", "v5[MQTT-4.3.3-12]", "v311[MQTT-4.3.3-2]">(already_routed)) {
            owe_pubrec_again(s, p.id);
            return settle(c, s);
        }
        received.insert(at, p.id);
    } else if (twice) {
        s.in = std::make_unique<incoming>();
        s.in->received.push_back(p.id);
    }

    const message_ptr m = message_of(s, p);
    if (rule<"v5[MQTT-3.3.4-1]", "v311[MQTT-3.3.4-1]">(p.quality == proto::qos::at_most_once)) {
        route(m, &s, {}, false);
        return;
    }
    ack_token token{handle_of(s), s.epoch, 0};
    {
        const bool record = rule<"v5[MQTT-3.3.4-1]", "v5[MQTT-4.3.2-4]", "v5[MQTT-4.3.3-8]", "v311[MQTT-3.3.4-1]",
                                 "v311[MQTT-4.3.2-2]", "v311[MQTT-4.3.3-2]">(twice);
        const proto::packet_id id = rule<"v5[MQTT-2.2.1-5]", "v311[MQTT-2.3.1-6]">(p.id);
        pending_ack& a = owe(s, record ? proto::packet_type::pubrec : proto::packet_type::puback, id);
        a.marks_received = twice;
        token.number = a.number;
    }
    const route_outcome routed = route(m, &s, token, false);
    // The reference from owe() may be stale by now: routing can reach this very session.
    pending_ack& a = s.in->acks.back();
    a.parts = static_cast<std::uint16_t>(a.parts + routed.parts);
    if (!routed.matched && c.protocol == proto::version::v5) a.reason = proto::reason_code::no_matching_subscribers;
    bool wait = routed.stored;
    const durability kept = twice && s.durable() ? kept_as(*m, false, true) : durability::none;
    if (kept == durability::strict && a.parts != 0) {
        // Not before the others have their part: with their rows (one_commit.cpp), or after what they did.
        a.record_received = true;
    } else if (kept != durability::none) {
        store_received(s, p.id, kept == durability::strict); // one commit with what was queued here
        wait |= kept == durability::strict;
    }
    if (wait) {
        a.serial = pending_persist_.serial;
        pending_persist_.urgent = true;
        wait_for_commit(s);
    }
    settle(c, s);
}

void engine::on_pubrel(connection& c, const proto::frame& f) {
    const auto p = proto::decode_pubrel(f, c.protocol);
    if (!p) return violation(c, p.error());
    session& s = session_of(c);
    const bool known = erase_received(s, p->id);
    const proto::packet_id id =
        rule<"v5[MQTT-4.3.3-11]", "v5[MQTT-4.3.3-13]", "v5[MQTT-2.2.1-5]", "v311[MQTT-4.3.3-2]">(p->id);
    pending_ack& a = owe(s, proto::packet_type::pubcomp, id);
    if (!known) {
        a.reason = proto::reason_code::packet_identifier_not_found;
        a.text = "no QoS 2 message with this packet identifier is open";
    }
    if (s.durable()) { // a lost deletion would swallow the next message with this id
        const bool stored = unstore_received(s, p->id, true);
        if (stored || !known) hold_until_durable(s, a); // or an earlier PUBREL's deletion may be lost
    }
    settle(c, s);
}

} // namespace fb::core
