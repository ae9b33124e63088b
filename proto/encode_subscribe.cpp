#include "proto/encode_properties.hpp"

namespace fb::proto {
namespace {

// v5 3.8.3.1; only the QoS exists in MQTT 3.1.1.
unsigned option_bits(const subscription_options& options, version v) noexcept {
    const auto quality = static_cast<unsigned>(options.maximum_qos);
    if (v != version::v5) return quality;
    return quality | (options.no_local ? 4u : 0u) | (options.retain_as_published ? 8u : 0u) |
           static_cast<unsigned>(options.retained) << 4;
}

} // namespace

bool encode(const subscribe& p, version v, std::string& out, std::uint32_t packet_size_max) {
    // v5[MQTT-3.8.1-1], v311[MQTT-3.8.1-1]
    return append_packet(first_byte(packet_type::subscribe, 0x02), out, packet_size_max, [&](auto& sink) {
        sink.u16(p.id);
        if (v == version::v5) put_block(sink, p.properties, keep::everything);
        for (const auto& request : p.requests) {
            sink.string(request.filter);
            sink.u8(option_bits(request.options, v));
        }
    });
}

bool encode(const unsubscribe& p, version v, std::string& out, std::uint32_t packet_size_max) {
    // v5[MQTT-3.10.1-1], v311[MQTT-3.10.1-1]
    return append_packet(first_byte(packet_type::unsubscribe, 0x02), out, packet_size_max, [&](auto& sink) {
        sink.u16(p.id);
        if (v == version::v5) put_block(sink, p.user, keep::everything);
        for (const auto filter : p.filters) sink.string(filter);
    });
}

} // namespace fb::proto
