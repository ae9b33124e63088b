#include "proto/cursor.hpp"

#include "proto/utf8.hpp"

namespace fb::proto {

void cursor::fail(const decode_error& error) noexcept {
    if (failed_) return;
    failed_ = true;
    error_ = error;
    bytes_ = {};
}

std::uint32_t cursor::varint(rule_ids required) noexcept {
    std::uint32_t value = 0;
    for (int shift = 0; shift < 28; shift += 7) {
        const auto byte = u8(required);
        value |= static_cast<std::uint32_t>(byte & 0x7F) << shift;
        if (byte & 0x80) continue;
        const bool too_long = byte == 0 && shift != 0;
        if (malformed_if(too_long, {"v5[MQTT-1.5.5-1]", "v311 2.2.3"}, "variable byte integer is longer than needed"))
            return 0;
        return value;
    }
    malformed({"v5 1.5.5", "v311 2.2.3"}, "variable byte integer of more than four bytes");
    return 0;
}

std::string_view cursor::string(rule_ids required, rule_ids is_text) noexcept {
    const auto text = binary(required);
    if (decide(is_text, valid_utf8_string(text)))
        return rule<"v5[MQTT-1.5.4-3]", "v311[MQTT-1.5.3-3]">(text); // as it came, a byte order mark too
    if (valid_utf8(text))
        malformed({"v5[MQTT-1.5.4-2]", "v311[MQTT-1.5.3-2]"}, "U+0000 in a string");
    else
        malformed({"v5[MQTT-1.5.4-1]", "v311[MQTT-1.5.3-1]"}, "string is not well-formed UTF-8");
    return {};
}

} // namespace fb::proto
