#include "proto/encode_properties.hpp"

namespace fb::proto {

bool encode(const disconnect& p, version v, std::string& out, std::uint32_t packet_size_max) {
    constexpr trim_rules trim{{"v5[MQTT-3.14.2-4]", ""}, {"v5[MQTT-3.14.2-3]", ""}};
    return append_trimmed(first_byte(packet_type::disconnect), trim, out, packet_size_max, [&](auto& sink, keep kept) {
        if (v != version::v5) return;
        const bool properties = any_to_put(p.properties, kept);
        if (p.reason == reason_code::success && !properties) return; // v5 3.14.2.1
        sink.u8(static_cast<unsigned>(p.reason));
        if (properties) put_block(sink, p.properties, kept); // v5 3.14.2.2.1
    });
}

bool encode(const auth& p, version v, std::string& out, std::uint32_t packet_size_max) {
    assert(v == version::v5);
    static_cast<void>(v);
    constexpr trim_rules trim{{"v5[MQTT-3.15.2-3]", ""}, {"v5[MQTT-3.15.2-2]", ""}};
    return append_trimmed(first_byte(packet_type::auth), trim, out, packet_size_max, [&](auto& sink, keep kept) {
        if (p.reason == reason_code::success && !any_to_put(p.properties, kept)) return; // v5 3.15.2.1
        sink.u8(static_cast<unsigned>(p.reason));
        put_block(sink, p.properties, kept);
    });
}

void encode(const pingreq&, std::string& out) {
    append_packet(first_byte(packet_type::pingreq), out, no_size_limit, [](auto&) {});
}

void encode(const pingresp&, std::string& out) {
    append_packet(first_byte(packet_type::pingresp), out, no_size_limit, [](auto&) {});
}

} // namespace fb::proto
