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

bool append_ack(unsigned first, const trim_rules& rules, const puback& p, version v, std::string& out,
                std::uint32_t packet_size_max) {
    const bool shortest = p.reason == reason_code::success && !any_to_put(p.properties, keep::everything);
    if (shortest && packet_size_max >= 4) { // nearly all
        out += {static_cast<char>(first), 2, static_cast<char>(p.id >> 8), static_cast<char>(p.id & 0xFF)};
        return true;
    }
    return append_trimmed(first, rules, out, packet_size_max,
                          [&](auto& sink, keep kept) { put_ack(sink, p, v, kept); });
}

constexpr trim_rules puback_trim{{"v5[MQTT-3.4.2-3]", ""}, {"v5[MQTT-3.4.2-2]", ""}};
constexpr trim_rules pubrec_trim{{"v5[MQTT-3.5.2-3]", ""}, {"v5[MQTT-3.5.2-2]", ""}};
constexpr trim_rules pubrel_trim{{"v5[MQTT-3.6.2-3]", ""}, {"v5[MQTT-3.6.2-2]", ""}};
constexpr trim_rules pubcomp_trim{{"v5[MQTT-3.7.2-3]", ""}, {"v5[MQTT-3.7.2-2]", ""}};
constexpr trim_rules suback_trim{{"v5[MQTT-3.9.2-2]", ""}, {"v5[MQTT-3.9.2-1]", ""}};
constexpr trim_rules unsuback_trim{{"v5[MQTT-3.11.2-2]", ""}, {"v5[MQTT-3.11.2-1]", ""}};

} // namespace

bool encode(const puback& p, version v, std::string& out, std::uint32_t packet_size_max) {
    return append_ack(first_byte(packet_type::puback), puback_trim, p, v, out, packet_size_max);
}

bool encode(const pubrec& p, version v, std::string& out, std::uint32_t packet_size_max) {
    return append_ack(first_byte(packet_type::pubrec), pubrec_trim, p, v, out, packet_size_max);
}

bool encode(const pubrel& p, version v, std::string& out, std::uint32_t packet_size_max) {
    const unsigned flags = rule<"v5[MQTT-3.6.1-1]", "v311[MQTT-3.6.1-1]">(0x02u);
    return append_ack(first_byte(packet_type::pubrel, flags), pubrel_trim, p, v, out, packet_size_max);
}

bool encode(const pubcomp& p, version v, std::string& out, std::uint32_t packet_size_max) {
    return append_ack(first_byte(packet_type::pubcomp), pubcomp_trim, p, v, out, packet_size_max);
}

bool encode(const suback& p, version v, std::string& out, std::uint32_t packet_size_max) {
    const bool v5 = v == version::v5;
    return append_trimmed(first_byte(packet_type::suback), suback_trim, out, packet_size_max,
                          [&](auto& sink, keep kept) {
                              sink.u16(p.id);
                              if (v5) put_block(sink, p.properties, kept);
                              for (const auto reason : p.reasons)
                                  sink.u8(v5 ? static_cast<unsigned>(reason) : suback_return_code_v311(reason));
                          });
}

bool encode(const unsuback& p, version v, std::string& out, std::uint32_t packet_size_max) {
    return append_trimmed(first_byte(packet_type::unsuback), unsuback_trim, out, packet_size_max,
                          [&](auto& sink, keep kept) {
                              sink.u16(p.id);
                              if (v != version::v5) return;
                              put_block(sink, p.properties, kept);
                              for (const auto reason : p.reasons) sink.u8(static_cast<unsigned>(reason));
                          });
}

} // namespace fb::proto
