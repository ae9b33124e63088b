#include "proto/decode_body.hpp"

namespace fb::proto {
namespace {

// What PUBACK, PUBREC, PUBREL and PUBCOMP differ in.
struct ack_kind {
    packet_type type;
    bool (*allowed)(reason_code);
    rule_ids reasons;
    rule_ids size;
};

// v5 3.4.2.1, table 3-4, and 3.5.2.1, table 3-5.
bool receipt_reason(reason_code code) noexcept {
    switch (code) {
    case reason_code::success:
    case reason_code::no_matching_subscribers:
    case reason_code::unspecified_error:
    case reason_code::implementation_specific_error:
    case reason_code::not_authorized:
    case reason_code::topic_name_invalid:
    case reason_code::packet_identifier_in_use:
    case reason_code::quota_exceeded:
    case reason_code::payload_format_invalid: return true;
    default: return false;
    }
}

// v5 3.6.2.1, table 3-6, and 3.7.2.1, table 3-7.
bool release_reason(reason_code code) noexcept {
    return code == reason_code::success || code == reason_code::packet_identifier_not_found;
}

// v5 3.9.3, table 3-8.
bool suback_reason(reason_code code) noexcept {
    switch (code) {
    case reason_code::success:
    case reason_code::granted_qos_1:
    case reason_code::granted_qos_2:
    case reason_code::unspecified_error:
    case reason_code::implementation_specific_error:
    case reason_code::not_authorized:
    case reason_code::topic_filter_invalid:
    case reason_code::packet_identifier_in_use:
    case reason_code::quota_exceeded:
    case reason_code::shared_subscriptions_not_supported:
    case reason_code::subscription_identifiers_not_supported:
    case reason_code::wildcard_subscriptions_not_supported: return true;
    default: return false;
    }
}

// v311 3.9.3.
bool suback_return_code(reason_code code) noexcept {
    return code <= reason_code::granted_qos_2 || code == reason_code::unspecified_error;
}

// v5 3.11.3, table 3-9.
bool unsuback_reason(reason_code code) noexcept {
    switch (code) {
    case reason_code::success:
    case reason_code::no_subscription_existed:
    case reason_code::unspecified_error:
    case reason_code::implementation_specific_error:
    case reason_code::not_authorized:
    case reason_code::topic_filter_invalid:
    case reason_code::packet_identifier_in_use: return true;
    default: return false;
    }
}

constexpr ack_kind puback_kind{packet_type::puback, receipt_reason, {"v5[MQTT-3.4.2-1]", ""}, {"", "v311 3.4.1"}};
constexpr ack_kind pubrec_kind{packet_type::pubrec, receipt_reason, {"v5[MQTT-3.5.2-1]", ""}, {"", "v311 3.5.1"}};
constexpr ack_kind pubrel_kind{packet_type::pubrel, release_reason, {"v5[MQTT-3.6.2-1]", ""}, {"", "v311 3.6.1"}};
constexpr ack_kind pubcomp_kind{packet_type::pubcomp, release_reason, {"v5[MQTT-3.7.2-1]", ""}, {"", "v311 3.7.1"}};

void read_ack(cursor& in, const ack_kind& kind, puback& p) noexcept {
    p.id = read_packet_id(in);
    if (!in.is_v5()) return in.expect_end(kind.size);
    if (in.at_end()) return; // v5 3.4.2.1: success is left out
    p.reason = static_cast<reason_code>(in.u8());
    if (in.protocol_error_if(!kind.allowed(p.reason), kind.reasons, "not a reason code of this packet")) return;
    if (!in.at_end()) read_properties(in, p.properties, kind.type); // v5 3.4.2.2.1: so is the length of no properties
}

template <class Ack>
result<Ack> decode_ack(const frame& f, version v, const ack_kind& kind) {
    return decode_body<Ack>(f, v, [&](cursor& in, Ack& p) {
        if (kind.type == packet_type::pubrel)
            require_flags_0010(in, f, {"v5[MQTT-3.6.1-1]", "v311[MQTT-3.6.1-1]"});
        else
            require_flags(in, f.flags, 0, rule_reserved_flags);
        read_ack(in, kind, p);
    });
}

void read_reasons(cursor& in, std::vector<reason_code>& reasons, bool (*allowed)(reason_code), rule_ids codes,
                  rule_ids count) {
    if (in.at_end()) in.protocol_error(count, "no reason code");
    for (const char byte : in.rest()) {
        const auto code = static_cast<reason_code>(byte);
        if (!allowed(code)) return in.protocol_error(codes, "not a reason code of this packet");
        reasons.push_back(code);
    }
}

} // namespace

result<puback> decode_puback(const frame& f, version v) { return decode_ack<puback>(f, v, puback_kind); }
result<pubrec> decode_pubrec(const frame& f, version v) { return decode_ack<pubrec>(f, v, pubrec_kind); }
result<pubrel> decode_pubrel(const frame& f, version v) { return decode_ack<pubrel>(f, v, pubrel_kind); }
result<pubcomp> decode_pubcomp(const frame& f, version v) { return decode_ack<pubcomp>(f, v, pubcomp_kind); }

result<suback> decode_suback(const frame& f, version v) {
    return decode_body<suback>(f, v, [&f](cursor& in, suback& p) {
        require_flags(in, f.flags, 0, rule_reserved_flags);
        p.id = read_packet_id(in);
        read_properties(in, p.properties, packet_type::suback);
        read_reasons(in, p.reasons, in.is_v5() ? suback_reason : suback_return_code,
                     {"v5[MQTT-3.9.3-2]", "v311[MQTT-3.9.3-2]"}, {"v5[MQTT-3.8.4-6]", "v311[MQTT-3.8.4-5]"});
    });
}

result<unsuback> decode_unsuback(const frame& f, version v) {
    return decode_body<unsuback>(f, v, [&f](cursor& in, unsuback& p) {
        require_flags(in, f.flags, 0, rule_reserved_flags);
        p.id = read_packet_id(in);
        if (!in.is_v5()) return in.expect_end({"", "v311 3.11.1"});
        read_properties(in, p.properties, packet_type::unsuback);
        read_reasons(in, p.reasons, unsuback_reason, {"v5[MQTT-3.11.3-2]", ""}, {"v5[MQTT-3.11.3-1]", ""});
    });
}

} // namespace fb::proto
