// A packet as one line of text, so that a transcript can be read and a failed comparison says what came instead:
//   PUBLISH device/1/x 'hello' q1 #7 dup retain expiry=10 alias=2 subs=1,2
//   SUBACK #1 01 87
#pragma once

#include <cstdio>
#include <string>

#include "tests/support/any_packet.hpp"

namespace fb::test {

inline std::string code(proto::reason_code r) {
    char text[8];
    std::snprintf(text, sizeof text, "%02x", static_cast<unsigned>(r));
    return text;
}

inline std::string describe_ack(const char* name, const proto::puback& p) {
    std::string text = std::string(name) + " #" + std::to_string(p.id);
    if (p.reason != proto::reason_code::success) text += " " + code(p.reason);
    return text;
}

template <class List>
std::string describe_list(const char* name, const List& p) {
    std::string text = std::string(name) + " #" + std::to_string(p.id);
    for (const auto r : p.reasons) text += " " + code(r);
    return text;
}

struct describer {
    std::string operator()(const proto::connack& p) const {
        std::string text = "CONNACK " + code(p.reason);
        if (p.session_present) text += " present";
        return text;
    }
    std::string operator()(const proto::publish& p) const {
        std::string text = "PUBLISH " + std::string(p.topic) + " '" + std::string(p.payload.substr(0, 40)) + "'";
        if (p.payload.size() > 40) text += "+" + std::to_string(p.payload.size() - 40);
        text += " q" + std::to_string(static_cast<int>(p.quality));
        if (p.id != 0) text += " #" + std::to_string(p.id);
        if (p.dup) text += " dup";
        if (p.retain) text += " retain";
        if (p.properties.message_expiry_s) text += " expiry=" + std::to_string(*p.properties.message_expiry_s);
        if (p.properties.topic_alias) text += " alias=" + std::to_string(*p.properties.topic_alias);
        const char* before = " subs=";
        for (const auto id : p.properties.subscription_ids) {
            text += before + std::to_string(id);
            before = ",";
        }
        return text;
    }
    std::string operator()(const proto::pubrec& p) const { return describe_ack("PUBREC", p); }
    std::string operator()(const proto::pubrel& p) const { return describe_ack("PUBREL", p); }
    std::string operator()(const proto::pubcomp& p) const { return describe_ack("PUBCOMP", p); }
    std::string operator()(const proto::puback& p) const { return describe_ack("PUBACK", p); }
    std::string operator()(const proto::suback& p) const { return describe_list("SUBACK", p); }
    std::string operator()(const proto::unsuback& p) const { return describe_list("UNSUBACK", p); }
    std::string operator()(const proto::pingresp&) const { return "PINGRESP"; }
    std::string operator()(const proto::disconnect& p) const { return "DISCONNECT " + code(p.reason); }
    template <class Other>
    std::string operator()(const Other&) const {
        return "a packet that only a client sends";
    }
};

inline std::string describe(std::string_view bytes, proto::version v) {
    const auto p = decode_one(bytes, v, false);
    if (!p) return std::string("undecodable: ") + p.error().what + " " + hex(bytes);
    return std::visit(describer{}, *p);
}

} // namespace fb::test
