#include "proto/cursor.hpp"

#include "proto/utf8.hpp"

namespace fb::proto {

void cursor::fail(const decode_error& error) noexcept {
    if (failed_) return;
    failed_ = true;
    error_ = error;
    bytes_ = {};
}

std::uint32_t cursor::varint(rule required) noexcept {
    std::uint32_t value = 0;
    for (int shift = 0; shift < 28; shift += 7) {
        const auto byte = u8(required);
        value |= static_cast<std::uint32_t>(byte & 0x7F) << shift;
        if (byte & 0x80) continue;
        if (byte == 0 && shift != 0) {
            malformed({"v5[MQTT-1.5.5-1]", "v311 2.2.3"}, "variable byte integer is longer than needed");
            return 0;
        }
        return value;
    }
    malformed({"v5 1.5.5", "v311 2.2.3"}, "variable byte integer of more than four bytes");
    return 0;
}

std::string_view cursor::string(rule required) noexcept {
    const auto text = binary(required);
    if (valid_utf8_string(text)) return text;
    if (valid_utf8(text))
        malformed({"v5[MQTT-1.5.4-2]", "v311[MQTT-1.5.3-2]"}, "U+0000 in a string");
    else
        malformed({"v5[MQTT-1.5.4-1]", "v311[MQTT-1.5.3-1]"}, "string is not well-formed UTF-8");
    return {};
}

} // namespace fb::proto
