#include "proto/decode_body.hpp"

namespace fb::proto {
namespace {

constexpr std::uint8_t flag_retain = 0x01;
constexpr std::uint8_t flag_dup = 0x08;

void read_flags(cursor& in, std::uint8_t flags, publish& p) noexcept {
    const unsigned quality = flags >> 1 & 3u;
    p.retain = (flags & flag_retain) != 0;
    p.dup = (flags & flag_dup) != 0;
    if (quality == 3) return in.malformed({"v5[MQTT-3.3.1-4]", "v311[MQTT-3.3.1-4]"}, "QoS 3");
    p.quality = static_cast<qos>(quality);
    if (p.dup && quality == 0) in.malformed({"v5[MQTT-3.3.1-2]", "v311[MQTT-3.3.1-2]"}, "DUP at QoS 0");
}

void check_topic(cursor& in, const publish& p) noexcept {
    if (p.topic.find('+') != std::string_view::npos || p.topic.find('#') != std::string_view::npos)
        return in.malformed({"v5[MQTT-3.3.2-2]", "v311[MQTT-3.3.2-2]"}, "wildcard in a topic name");
    if (!p.topic.empty() || p.properties.topic_alias) return;
    if (in.is_v5())
        in.protocol_error({"v5 3.3.2.1", ""}, "neither topic name nor topic alias");
    else
        in.malformed({"", "v311[MQTT-4.7.3-1]"}, "empty topic name");
}

} // namespace

result<publish> decode_publish(const frame& f, version v, bool from_client) {
    return decode_body<publish>(f, v, [&f, from_client](cursor& in, publish& p) {
        read_flags(in, f.flags, p);
        p.topic = in.string({"v5[MQTT-3.3.2-1]", "v311[MQTT-3.3.2-1]"});
        if (p.quality != qos::at_most_once) p.id = read_packet_id(in); // v5[MQTT-2.2.1-2], v311[MQTT-2.3.1-5]
        read_properties(in, p.properties, from_client);
        check_topic(in, p);
        p.payload = in.rest();
    });
}

result<publish_properties> decode_forward_block(std::string_view block) {
    publish_properties p;
    cursor in({}, version::v5);
    read_forward_block(in, block, p);
    if (!in.ok()) return in.error();
    return p;
}

} // namespace fb::proto
