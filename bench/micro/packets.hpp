// What the simulated clients send, as bytes made beforehand; a packet id is written over the one before.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proto/encode.hpp"

namespace fb::micro {

inline constexpr std::string_view payload =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"; // 64 bytes

class numbered_packet {
  public:
    numbered_packet(std::string bytes, std::size_t id_at)
        : bytes_(std::move(bytes))
        , id_at_(id_at) {}

    /// Valid until the next call.
    std::string_view with(proto::packet_id id) {
        bytes_[id_at_] = static_cast<char>(id >> 8);
        bytes_[id_at_ + 1] = static_cast<char>(id & 0xFF);
        return bytes_;
    }
    std::string_view bytes() const { return bytes_; }

  private:
    std::string bytes_;
    std::size_t id_at_;
};

/// MQTT 5, 64 bytes of payload; `properties` as proto::append_forward_block makes them.
inline numbered_packet publish_packet(std::string_view topic, proto::qos quality, bool retain = false,
                                      std::string_view properties = {}) {
    proto::publish_head head;
    head.forward_block = properties;
    head.topic = topic;
    head.quality = quality;
    head.retain = retain;
    head.id = quality == proto::qos::at_most_once ? proto::packet_id{0} : proto::packet_id{1};
    head.payload_size = payload.size();
    std::string bytes;
    const std::size_t id_at = proto::append_publish_head(head, proto::version::v5, bytes);
    return {bytes.append(payload), id_at};
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP.
template <class Ack>
numbered_packet ack_packet() {
    Ack p;
    p.id = 1;
    std::string bytes;
    proto::encode(p, proto::version::v5, bytes);
    return {bytes, 2};
}

/// The ids that a broker gives out, or a client: 1 to 65535 and round again.
class packet_ids {
  public:
    proto::packet_id next() {
        last_ = last_ == 65535 ? proto::packet_id{1} : static_cast<proto::packet_id>(last_ + 1);
        return last_;
    }

  private:
    proto::packet_id last_ = 0;
};

} // namespace fb::micro
