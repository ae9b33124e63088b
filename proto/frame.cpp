#include "proto/frame.hpp"

#include "proto/rule.hpp"

namespace fb::proto {
namespace {

constexpr std::size_t length_bytes_max = 4;

} // namespace

result<frame> next_frame(std::string_view bytes, std::uint32_t packet_size_max) noexcept {
    frame f;
    if (bytes.empty()) return f;
    const auto first = static_cast<std::uint8_t>(bytes[0]);
    if (first >> 4 == 0) return decode_error{reason_code::malformed_packet, "v5 2.1.2", "packet type 0 is reserved"};
    f.type = static_cast<packet_type>(first >> 4);
    f.flags = first & 0x0F;

    std::uint32_t length = 0;
    for (std::size_t i = 0; i < length_bytes_max; ++i) {
        if (i + 1 >= bytes.size()) return f;
        const auto byte = static_cast<std::uint8_t>(bytes[i + 1]);
        length |= static_cast<std::uint32_t>(byte & 0x7F) << (7 * i);
        if (byte & 0x80) continue;
        if (rule<"v5[MQTT-1.5.5-1]">(byte == 0 && i != 0))
            return decode_error{reason_code::malformed_packet, "v5[MQTT-1.5.5-1]",
                                "remaining length is longer than needed"};
        const std::size_t header = i + 2;
        const auto size = static_cast<std::uint32_t>(header) + length;
        if (rule<"v5[MQTT-3.2.2-15]">(size > packet_size_max))
            return decode_error{reason_code::packet_too_large, "v5[MQTT-3.2.2-15]", "packet larger than allowed"};
        if (bytes.size() < size) {
            f.needed = size;
        } else {
            f.body = bytes.substr(header, length);
            f.size = size;
        }
        return f;
    }
    return decode_error{reason_code::malformed_packet, "v5 2.1.4", "remaining length of more than four bytes"};
}

} // namespace fb::proto
