#include "proto/decode_body.hpp"

namespace fb::proto {
namespace {

constexpr std::uint8_t flag_retain = 0x01;
constexpr std::uint8_t flag_dup = 0x08;

void read_flags(cursor& in, std::uint8_t flags, publish& p) noexcept {
    const unsigned quality = flags >> 1 & 3u;
    p.retain = (flags & flag_retain) != 0;
    p.dup = (flags & flag_dup) != 0;
    if (in.malformed_if(quality == 3, {"v5[MQTT-3.3.1-4]", "v311[MQTT-3.3.1-4]"}, "QoS 3")) return;
    p.quality = static_cast<qos>(quality);
    in.malformed_if(p.dup && quality == 0, {"v5[MQTT-3.3.1-2]", "v311[MQTT-3.3.1-2]"}, "DUP at QoS 0");
}

void check_topic(cursor& in, const publish& p) noexcept {
    // Two searches for one character: find_first_of() makes one for each character of the topic.
    const bool wildcard = p.topic.find('+') != p.topic.npos || p.topic.find('#') != p.topic.npos;
    if (in.malformed_if(wildcard, {"v5[MQTT-3.3.2-2]", "v311[MQTT-3.3.2-2]"}, "wildcard in a topic name")) return;
    const bool none = p.topic.empty() && !p.properties.topic_alias;
    if (!in.decide({"v5[MQTT-4.7.3-1]", "v311[MQTT-4.7.3-1]"}, none)) return;
    if (in.is_v5())
        in.protocol_error({"v5 3.3.2.1", ""}, "neither topic name nor topic alias");
    else
        in.malformed({"", "v311[MQTT-4.7.3-1]"}, "empty topic name");
}

} // namespace

result<publish> decode_publish(const frame& f, version v, bool from_client) {
    return decode_body<publish>(f, v, [&f, from_client](cursor& in, publish& p) {
        read_flags(in, f.flags, p);
        constexpr rule_ids topic_first{"v5[MQTT-3.3.2-1]", "v311[MQTT-3.3.2-1]"};
        p.topic = in.string(topic_first, topic_first);
        if (in.decide({"v5[MQTT-2.2.1-2]", "v311[MQTT-2.3.1-5]"}, p.quality != qos::at_most_once))
            p.id = read_packet_id(in);
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
