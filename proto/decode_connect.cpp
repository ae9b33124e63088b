#include "proto/decode_body.hpp"
#include "proto/topic.hpp"

#include <optional>

namespace fb::proto {
namespace {

constexpr std::uint8_t flag_reserved = 0x01;
constexpr std::uint8_t flag_clean_start = 0x02;
constexpr std::uint8_t flag_will = 0x04;
constexpr std::uint8_t flag_will_retain = 0x20;
constexpr std::uint8_t flag_password = 0x40;
constexpr std::uint8_t flag_user_name = 0x80;

unsigned will_qos(std::uint8_t flags) noexcept { return flags >> 3 & 3u; }

std::optional<version> version_of(std::string_view name, std::uint8_t level) noexcept {
    for (const auto v : {version::v5, version::v3_1_1})
        if (name == "MQTT" && level == static_cast<std::uint8_t>(v)) return v;
    if (name == "MQIsdp" && level == static_cast<std::uint8_t>(version::v3_1)) return version::v3_1;
    return std::nullopt;
}

void read_protocol(cursor& in, connect& p) noexcept {
    const auto name = in.string();
    const auto level = in.u8();
    if (!in.ok()) return;
    if (rule<"v5[MQTT-3.1.2-1]", "v311[MQTT-3.1.2-1]">(name != "MQTT" && name != "MQIsdp"))
        return in.malformed({"v5[MQTT-3.1.2-1]", "v311[MQTT-3.1.2-1]"}, "not an MQTT protocol name");
    const auto known = version_of(name, level);
    if (rule<"v5[MQTT-3.1.2-2]", "v311[MQTT-3.1.2-2]">(!known.has_value())) {
        return in.fail(reason_code::unsupported_protocol_version, {"v5[MQTT-3.1.2-2]", "v311[MQTT-3.1.2-2]"},
                       "protocol level not supported");
    }
    p.protocol = known.value_or(version::v5);
    in.set_protocol(p.protocol);
}

void check_flags(cursor& in, std::uint8_t flags) noexcept {
    const bool reserved = (flags & flag_reserved) != 0 && in.protocol() != version::v3_1; // not used by MQTT 3.1
    in.malformed_if(reserved, {"v5[MQTT-3.1.2-3]", "v311[MQTT-3.1.2-3]"}, "reserved connect flag is set");
    const auto quality = will_qos(flags);
    const bool retain = (flags & flag_will_retain) != 0;
    if (flags & flag_will) {
        in.malformed_if(quality == 3, {"v5[MQTT-3.1.2-12]", "v311[MQTT-3.1.2-14]"}, "will QoS 3");
    } else {
        in.malformed_if(quality != 0, {"v5[MQTT-3.1.2-11]", "v311[MQTT-3.1.2-13]"}, "will QoS without a will");
        in.malformed_if(retain, {"v5[MQTT-3.1.2-13]", "v311[MQTT-3.1.2-15]"}, "will retain without a will");
    }
    const bool lone_password = !in.is_v5() && (flags & flag_password) != 0 && (flags & flag_user_name) == 0;
    in.malformed_if(lone_password, {"", "v311[MQTT-3.1.2-22]"}, "password without a user name");
}

void read_will(cursor& in, std::uint8_t flags, will& w) noexcept {
    constexpr rule_ids present{"v5[MQTT-3.1.2-9]", "v311[MQTT-3.1.2-9]"};
    read_will_properties(in, w);
    w.topic = in.string(present, {"v5[MQTT-3.1.3-11]", "v311[MQTT-3.1.3-10]"});
    w.payload = in.binary(present);
    w.quality = static_cast<qos>(will_qos(flags));
    w.retain = (flags & flag_will_retain) != 0;
    if (w.topic.empty())
        in.malformed({"v5[MQTT-4.7.3-1]", "v311[MQTT-4.7.3-1]"}, "empty will topic");
    else if (!valid_topic_name(w.topic))
        in.malformed({"v5[MQTT-4.7.0-1]", "v311[MQTT-4.7.1-1]"}, "wildcard in the will topic");
}

// What bytes after the last announced field are: most likely a field whose flag is not set.
rule_ids leftover_rule(std::uint8_t flags) noexcept {
    if (!(flags & flag_user_name)) return {"v5[MQTT-3.1.2-16]", "v311[MQTT-3.1.2-18]"};
    if (!(flags & flag_password)) return {"v5[MQTT-3.1.2-18]", "v311[MQTT-3.1.2-20]"};
    return rule_remaining_length;
}

void read_connect(cursor& in, const frame& f, connect& p) noexcept {
    require_flags(in, f.flags, 0, rule_reserved_flags);
    read_protocol(in, p);
    const auto flags = in.u8();
    check_flags(in, flags);
    p.clean_start = (flags & flag_clean_start) != 0;
    p.keep_alive_s = in.u16();
    read_properties(in, p.properties);
    reached<"v5[MQTT-3.1.3-1]", "v311[MQTT-3.1.3-1]">(); // the order of what follows
    p.client_id = in.string({"v5[MQTT-3.1.3-3]", "v311[MQTT-3.1.3-3]"}, {"v5[MQTT-3.1.3-4]", "v311[MQTT-3.1.3-4]"});
    if (in.decide({"", "v311[MQTT-3.1.2-11]"}, (flags & flag_will) != 0)) read_will(in, flags, p.last_will.emplace());
    if (flags & flag_user_name)
        p.user_name =
            in.string({"v5[MQTT-3.1.2-17]", "v311[MQTT-3.1.2-19]"}, {"v5[MQTT-3.1.3-12]", "v311[MQTT-3.1.3-11]"});
    if (flags & flag_password) p.password = in.binary({"v5[MQTT-3.1.2-19]", "v311[MQTT-3.1.2-21]"});
    in.expect_end(leftover_rule(flags));
}

// v311 3.2.2.3, table 3.1.
std::optional<reason_code> reason_of_return_code(std::uint8_t code) noexcept {
    switch (code) {
    case 0: return reason_code::success;
    case 1: return reason_code::unsupported_protocol_version;
    case 2: return reason_code::client_identifier_not_valid;
    case 3: return reason_code::server_unavailable;
    case 4: return reason_code::bad_user_name_or_password;
    case 5: return reason_code::not_authorized;
    default: return std::nullopt;
    }
}

// v5 3.2.2.2, table 3-1.
bool connack_reason(std::uint8_t code) noexcept {
    switch (static_cast<reason_code>(code)) {
    case reason_code::success:
    case reason_code::unspecified_error:
    case reason_code::malformed_packet:
    case reason_code::protocol_error:
    case reason_code::implementation_specific_error:
    case reason_code::unsupported_protocol_version:
    case reason_code::client_identifier_not_valid:
    case reason_code::bad_user_name_or_password:
    case reason_code::not_authorized:
    case reason_code::server_unavailable:
    case reason_code::server_busy:
    case reason_code::banned:
    case reason_code::bad_authentication_method:
    case reason_code::topic_name_invalid:
    case reason_code::packet_too_large:
    case reason_code::quota_exceeded:
    case reason_code::payload_format_invalid:
    case reason_code::retain_not_supported:
    case reason_code::qos_not_supported:
    case reason_code::use_another_server:
    case reason_code::server_moved:
    case reason_code::connection_rate_exceeded: return true;
    default: return false;
    }
}

reason_code read_connack_reason(cursor& in) noexcept {
    constexpr rule_ids codes{"v5[MQTT-3.2.2-8]", "v311 3.2.2.3"};
    const auto code = in.u8();
    const auto reason = in.is_v5() ? static_cast<reason_code>(code)
                                   : reason_of_return_code(code).value_or(reason_code::malformed_packet);
    const bool known = in.is_v5() ? connack_reason(code) : reason != reason_code::malformed_packet;
    if (!known) in.protocol_error(codes, "not a reason code of a CONNACK");
    return reason;
}

} // namespace

result<connect> decode_connect(const frame& f) {
    return decode_body<connect>(f, version::v5, [&f](cursor& in, connect& p) { read_connect(in, f, p); });
}

result<connack> decode_connack(const frame& f, version v) {
    return decode_body<connack>(f, v, [&f](cursor& in, connack& p) {
        require_flags(in, f.flags, 0, rule_reserved_flags);
        const auto flags = in.u8();
        if (flags > 1) in.malformed({"v5[MQTT-3.2.2-1]", "v311 3.2.2.1"}, "reserved connect acknowledge flag is set");
        p.session_present = (flags & 1) != 0;
        p.reason = read_connack_reason(in);
        if (p.session_present && p.reason != reason_code::success)
            in.protocol_error({"v5[MQTT-3.2.2-6]", "v311[MQTT-3.2.2-4]"}, "refused, yet with a session");
        read_properties(in, p.properties);
    });
}

} // namespace fb::proto
