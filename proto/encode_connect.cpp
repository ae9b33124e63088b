#include "proto/encode_properties.hpp"

namespace fb::proto {
namespace {

unsigned connect_flags(const connect& p) noexcept {
    unsigned flags = p.clean_start ? 0x02u : 0u;
    if (p.last_will) flags |= 0x04u | static_cast<unsigned>(p.last_will->quality) << 3;
    if (p.last_will && p.last_will->retain) flags |= 0x20u;
    if (p.password) flags |= 0x40u;
    if (p.user_name) flags |= 0x80u;
    return flags;
}

template <class Sink>
void put_will(Sink& sink, const will& w, bool v5) {
    if (v5) put_block(sink, w, keep::everything);
    sink.string(w.topic);
    sink.string(w.payload);
}

} // namespace

void encode(const connect& p, std::string& out) {
    const bool v5 = p.protocol == version::v5;
    append_packet(first_byte(packet_type::connect), out, no_size_limit, [&](auto& sink) {
        sink.string(p.protocol == version::v3_1 ? "MQIsdp" : "MQTT"); // v5[MQTT-3.1.2-1], v311[MQTT-3.1.2-1]
        sink.u8(static_cast<unsigned>(p.protocol));
        sink.u8(connect_flags(p));
        sink.u16(p.keep_alive_s);
        if (v5) put_block(sink, p.properties, keep::everything);
        sink.string(p.client_id); // v5[MQTT-3.1.3-1], v311[MQTT-3.1.3-1]: the order of the payload
        if (p.last_will) put_will(sink, *p.last_will, v5);
        if (p.user_name) sink.string(*p.user_name);
        if (p.password) sink.string(*p.password);
    });
}

bool encode(const connack& p, version v, std::string& out, std::uint32_t packet_size_max) {
    constexpr trim_rules trim{{"v5[MQTT-3.2.2-20]", ""}, {"v5[MQTT-3.2.2-19]", ""}};
    return append_trimmed(first_byte(packet_type::connack), trim, out, packet_size_max, [&](auto& sink, keep kept) {
        sink.u8(rule<"v5[MQTT-3.2.2-1]">(p.session_present ? 1u : 0u));
        if (v != version::v5) return sink.u8(connect_return_code_v311(p.reason));
        sink.u8(static_cast<unsigned>(p.reason));
        put_block(sink, p.properties, kept);
    });
}

} // namespace fb::proto
