#include "proto/decode_body.hpp"

namespace fb::proto {
namespace {

// v5 3.14.2.1, table 3-10.
bool disconnect_reason(reason_code code) noexcept {
    switch (code) {
    case reason_code::success:
    case reason_code::disconnect_with_will:
    case reason_code::unspecified_error:
    case reason_code::malformed_packet:
    case reason_code::protocol_error:
    case reason_code::implementation_specific_error:
    case reason_code::not_authorized:
    case reason_code::server_busy:
    case reason_code::server_shutting_down:
    case reason_code::keep_alive_timeout:
    case reason_code::session_taken_over:
    case reason_code::topic_filter_invalid:
    case reason_code::topic_name_invalid:
    case reason_code::receive_maximum_exceeded:
    case reason_code::topic_alias_invalid:
    case reason_code::packet_too_large:
    case reason_code::message_rate_too_high:
    case reason_code::quota_exceeded:
    case reason_code::administrative_action:
    case reason_code::payload_format_invalid:
    case reason_code::retain_not_supported:
    case reason_code::qos_not_supported:
    case reason_code::use_another_server:
    case reason_code::server_moved:
    case reason_code::shared_subscriptions_not_supported:
    case reason_code::connection_rate_exceeded:
    case reason_code::maximum_connect_time:
    case reason_code::subscription_identifiers_not_supported:
    case reason_code::wildcard_subscriptions_not_supported: return true;
    default: return false;
    }
}

// v5 3.15.2.1, table 3-11.
bool auth_reason(reason_code code) noexcept {
    return code == reason_code::success || code == reason_code::continue_authentication ||
           code == reason_code::reauthenticate;
}

template <class Packet>
result<Packet> decode_empty(const frame& f, rule_ids size) {
    return decode_body<Packet>(f, version::v5, [&](cursor& in, Packet&) {
        require_flags(in, f.flags, 0, rule_reserved_flags);
        in.expect_end(size);
    });
}

bool has_properties(const auth_properties& p) {
    return p.authentication_method || p.authentication_data || p.reason_string || !p.user.empty();
}

void read_auth(cursor& in, auth& p) {
    if (!in.is_v5()) return in.malformed({"", "v311 2.2.1"}, "packet type 15 is reserved");
    if (in.at_end()) return; // v5 3.15.2.1: success without properties is left out
    p.reason = static_cast<reason_code>(in.u8());
    if (in.protocol_error_if(!auth_reason(p.reason), {"v5[MQTT-3.15.2-1]", ""}, "not a reason code of an AUTH")) return;
    read_properties(in, p.properties);
    const bool same_as_left_out = p.reason == reason_code::success && !has_properties(p.properties);
    if (!p.properties.authentication_method && !same_as_left_out)
        in.protocol_error({"v5 3.15.2.2.2", ""}, "AUTH without an authentication method");
}

} // namespace

result<pingreq> decode_pingreq(const frame& f) { return decode_empty<pingreq>(f, {"v5 3.12.1", ""}); }
result<pingresp> decode_pingresp(const frame& f) { return decode_empty<pingresp>(f, {"v5 3.13.1", ""}); }

result<disconnect> decode_disconnect(const frame& f, version v) {
    return decode_body<disconnect>(f, v, [&f](cursor& in, disconnect& p) {
        require_flags(in, f.flags, 0, {"v5[MQTT-3.14.1-1]", "v311[MQTT-3.14.1-1]"});
        if (!in.is_v5()) return in.expect_end({"", "v311 3.14.1"});
        if (in.at_end()) return; // v5 3.14.2.1: success is left out
        p.reason = static_cast<reason_code>(in.u8());
        const bool unknown = !disconnect_reason(p.reason);
        if (in.protocol_error_if(unknown, {"v5[MQTT-3.14.2-1]", ""}, "not a reason code of a DISCONNECT")) return;
        if (!in.at_end()) read_properties(in, p.properties); // v5 3.14.2.2.1
    });
}

result<auth> decode_auth(const frame& f, version v) {
    return decode_body<auth>(f, v, [&f](cursor& in, auth& p) {
        require_flags(in, f.flags, 0, {"v5[MQTT-3.15.1-1]", "v311[MQTT-2.2.2-2]"});
        read_auth(in, p);
    });
}

} // namespace fb::proto
