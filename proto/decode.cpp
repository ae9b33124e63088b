#include "proto/decode.hpp"

namespace fb::proto {
namespace {

template <class Packet>
result<packet> any(result<Packet>&& decoded) {
    if (!decoded) return decoded.error();
    return packet(std::move(*decoded));
}

} // namespace

result<packet> decode(const frame& f, version v, bool from_client) {
    switch (f.type) {
    case packet_type::connect: return any(decode_connect(f));
    case packet_type::connack: return any(decode_connack(f, v));
    case packet_type::publish: return any(decode_publish(f, v, from_client));
    case packet_type::puback: return any(decode_puback(f, v));
    case packet_type::pubrec: return any(decode_pubrec(f, v));
    case packet_type::pubrel: return any(decode_pubrel(f, v));
    case packet_type::pubcomp: return any(decode_pubcomp(f, v));
    case packet_type::subscribe: return any(decode_subscribe(f, v));
    case packet_type::suback: return any(decode_suback(f, v));
    case packet_type::unsubscribe: return any(decode_unsubscribe(f, v));
    case packet_type::unsuback: return any(decode_unsuback(f, v));
    case packet_type::pingreq: return any(decode_pingreq(f));
    case packet_type::pingresp: return any(decode_pingresp(f));
    case packet_type::disconnect: return any(decode_disconnect(f, v));
    case packet_type::auth: return any(decode_auth(f, v));
    }
    return decode_error{reason_code::malformed_packet, "v5 2.1.2", "packet type 0 is reserved"};
}

} // namespace fb::proto
