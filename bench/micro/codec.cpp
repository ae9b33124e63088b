// Bytes to structs and back.
#include "bench/micro/operation.hpp"
#include "bench/micro/packets.hpp"
#include "proto/decode.hpp"

namespace fb::micro {
namespace {

constexpr auto v5 = proto::version::v5;
constexpr std::string_view topic = "site/7/device-0042/temperature";

proto::frame frame_of(std::string_view bytes) {
    const auto f = proto::next_frame(bytes, proto::no_size_limit);
    must(f && f->complete(), "framing");
    return *f;
}

/// `decode(frame)` of the same packet, over and over, framing included.
template <class Decode>
runner decoding(std::string bytes, Decode decode) {
    return [bytes = std::move(bytes), decode](std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) must(bool(decode(frame_of(bytes))), "decoding");
        return count;
    };
}

runner decode_publish(proto::qos quality) {
    return decoding(std::string(publish_packet(topic, quality).bytes()),
                    [](const proto::frame& f) { return proto::decode_publish(f, v5); });
}

runner decode_publish_with_properties() {
    proto::publish p;
    p.topic = topic;
    p.payload = payload;
    p.properties.content_type = "application/json";
    p.properties.message_expiry_s = 60;
    p.properties.user.add("unit", "celsius");
    std::string bytes;
    proto::encode(p, v5, bytes);
    return decoding(std::move(bytes), [](const proto::frame& f) { return proto::decode_publish(f, v5); });
}

runner decode_connect() {
    proto::connect p;
    p.client_id = "device-0042";
    p.keep_alive_s = 60;
    p.user_name = "device-0042";
    p.password = "secret";
    p.properties.session_expiry_s = 3600;
    p.last_will.emplace();
    p.last_will->topic = "site/7/device-0042/gone";
    p.last_will->payload = "gone";
    std::string bytes;
    proto::encode(p, bytes);
    return decoding(std::move(bytes), [](const proto::frame& f) { return proto::decode_connect(f); });
}

runner decode_subscribe() {
    proto::subscribe p;
    p.id = 1;
    p.requests.push_back({"site/+/device-0042/#", {.maximum_qos = proto::qos::at_least_once}});
    std::string bytes;
    proto::encode(p, v5, bytes);
    return decoding(std::move(bytes), [](const proto::frame& f) { return proto::decode_subscribe(f, v5); });
}

runner decode_puback() {
    return decoding(std::string(ack_packet<proto::puback>().bytes()),
                    [](const proto::frame& f) { return proto::decode_puback(f, v5); });
}

/// Into one buffer that is emptied after each, as an output buffer is.
template <class Packet>
runner encoding(const Packet& p) {
    return [p, out = std::string()](std::uint64_t count) mutable {
        for (std::uint64_t i = 0; i < count; ++i) {
            out.clear();
            must(proto::encode(p, v5, out), "encoding");
        }
        return count;
    };
}

runner encode_publish() {
    proto::publish p;
    p.topic = topic;
    p.payload = payload;
    p.quality = proto::qos::at_least_once;
    p.id = 1;
    return encoding(p);
}

runner encode_puback() {
    proto::puback p;
    p.id = 1;
    return encoding(p);
}

runner encode_puback_with_reason() {
    proto::puback p;
    p.id = 1;
    p.reason = proto::reason_code::not_authorized;
    p.properties.reason_string = "this client may not publish to this topic";
    return encoding(p);
}

constexpr std::uint64_t times = 2000;
constexpr operation all[] = {
    {"decode_publish_qos0", "PUBLISH at QoS 0, MQTT 5, 64 bytes of payload", times,
     [] { return decode_publish(proto::qos::at_most_once); }},
    {"decode_publish_qos1", "the same at QoS 1", times, [] { return decode_publish(proto::qos::at_least_once); }},
    {"decode_publish_properties", "the same with content type, expiry and a user property", times,
     decode_publish_with_properties},
    {"decode_connect", "CONNECT with will, user name and password", times, decode_connect},
    {"decode_subscribe", "SUBSCRIBE to one filter", times, decode_subscribe},
    {"decode_puback", "PUBACK, two bytes", times, decode_puback},
    {"encode_publish", "PUBLISH at QoS 1", times, encode_publish},
    {"encode_puback", "PUBACK, success", times, encode_puback},
    {"encode_puback_reason", "PUBACK with reason code and reason string", times, encode_puback_with_reason},
};

} // namespace

std::span<const operation> codec_operations() { return all; }

} // namespace fb::micro
