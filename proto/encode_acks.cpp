#include "proto/encode_properties.hpp"

namespace fb::proto {
namespace {

// The shortest form: success without properties is the packet id alone (v5 3.4.2.1), and no properties need no length
// (v5 3.4.2.2.1).
template <class Sink>
void put_ack(Sink& sink, const puback& p, version v, keep kept) {
    sink.u16(p.id);
    if (v != version::v5) return;
    const bool properties = any_to_put(p.properties, kept);
    if (p.reason == reason_code::success && !properties) return;
    sink.u8(static_cast<unsigned>(p.reason));
    if (properties) put_block(sink, p.properties, kept);
}

bool append_ack(unsigned first, const puback& p, version v, std::string& out, std::uint32_t packet_size_max) {
    return append_trimmed(first, out, packet_size_max, [&](auto& sink, keep kept) { put_ack(sink, p, v, kept); });
}

} // namespace

bool encode(const puback& p, version v, std::string& out, std::uint32_t packet_size_max) {
    return append_ack(first_byte(packet_type::puback), p, v, out, packet_size_max);
}

bool encode(const pubrec& p, version v, std::string& out, std::uint32_t packet_size_max) {
    return append_ack(first_byte(packet_type::pubrec), p, v, out, packet_size_max);
}

bool encode(const pubrel& p, version v, std::string& out, std::uint32_t packet_size_max) {
    // v5[MQTT-3.6.1-1], v311[MQTT-3.6.1-1]
    return append_ack(first_byte(packet_type::pubrel, 0x02), p, v, out, packet_size_max);
}

bool encode(const pubcomp& p, version v, std::string& out, std::uint32_t packet_size_max) {
    return append_ack(first_byte(packet_type::pubcomp), p, v, out, packet_size_max);
}

bool encode(const suback& p, version v, std::string& out, std::uint32_t packet_size_max) {
    const bool v5 = v == version::v5;
    return append_trimmed(first_byte(packet_type::suback), out, packet_size_max, [&](auto& sink, keep kept) {
        sink.u16(p.id);
        if (v5) put_block(sink, p.properties, kept);
        for (const auto reason : p.reasons)
            sink.u8(v5 ? static_cast<unsigned>(reason) : suback_return_code_v311(reason));
    });
}

bool encode(const unsuback& p, version v, std::string& out, std::uint32_t packet_size_max) {
    return append_trimmed(first_byte(packet_type::unsuback), out, packet_size_max, [&](auto& sink, keep kept) {
        sink.u16(p.id);
        if (v != version::v5) return;
        put_block(sink, p.properties, kept);
        for (const auto reason : p.reasons) sink.u8(static_cast<unsigned>(reason));
    });
}

} // namespace fb::proto
