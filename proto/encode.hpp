// Structs to bytes, appended to `out`. Encoders trust their input (a programmer's duty, asserted where cheap): a reason
// that fits the packet, strings of valid UTF-8 below 64 KiB.
//
// `packet_size_max` is the peer's Maximum Packet Size in bytes. Packets that carry a reason string or user properties
// drop the user properties, then the reason string, until they fit (v5[MQTT-3.2.2-19], -20, v5[MQTT-3.4.2-2], -3, ...).
// Returns false, and appends nothing, when even the bare packet does not fit.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/packets.hpp"

namespace fb::proto {

inline constexpr std::uint32_t no_size_limit = varint_max + 5;

bool encode(const connack& p, version v, std::string& out, std::uint32_t packet_size_max = no_size_limit);
bool encode(const puback& p, version v, std::string& out, std::uint32_t packet_size_max = no_size_limit);
bool encode(const pubrec& p, version v, std::string& out, std::uint32_t packet_size_max = no_size_limit);
bool encode(const pubrel& p, version v, std::string& out, std::uint32_t packet_size_max = no_size_limit);
bool encode(const pubcomp& p, version v, std::string& out, std::uint32_t packet_size_max = no_size_limit);
bool encode(const suback& p, version v, std::string& out, std::uint32_t packet_size_max = no_size_limit);
bool encode(const unsuback& p, version v, std::string& out, std::uint32_t packet_size_max = no_size_limit);
bool encode(const disconnect& p, version v, std::string& out, std::uint32_t packet_size_max = no_size_limit);
bool encode(const auth& p, version v, std::string& out, std::uint32_t packet_size_max = no_size_limit);
bool encode(const publish& p, version v, std::string& out, std::uint32_t packet_size_max = no_size_limit);
void encode(const pingresp& p, std::string& out);

// What a client sends: for tests and the bench tools.
void encode(const connect& p, std::string& out); // the version is in the packet
bool encode(const subscribe& p, version v, std::string& out, std::uint32_t packet_size_max = no_size_limit);
bool encode(const unsubscribe& p, version v, std::string& out, std::uint32_t packet_size_max = no_size_limit);
void encode(const pingreq& p, std::string& out);

// The broker's way of sending one publication to many: the properties that are forwarded unaltered are encoded once
// (forward_block, kept beside the payload), the rest per subscriber in front of them.

/// Appends the encoded properties of a PUBLISH or will that a server passes on unaltered: payload format, response
/// topic, correlation data, content type, user properties in their order (v5[MQTT-3.3.2-4], -15, -16, -17, -18, -20).
/// Not the expiry, the alias and the subscription ids, which are the server's own to write.
void append_forward_block(const publish_properties& p, std::string& out);

/// What differs between the copies of one publication.
struct publish_head {
    std::string_view topic; // empty where `topic_alias` stands for it
    qos quality = qos::at_most_once;
    bool retain = false;
    bool dup = false;
    packet_id id = 0;
    std::uint16_t topic_alias = 0;      // 0: none
    std::uint32_t message_expiry_s = 0; // written when has_expiry
    bool has_expiry = false;
    const std::uint32_t* subscription_ids = nullptr;
    std::size_t subscription_id_count = 0;
    std::string_view forward_block; // from append_forward_block; ignored in 3.1.1
    std::size_t payload_size = 0;
};

/// The size in bytes of the whole PUBLISH (payload included) that append_publish_head begins.
std::size_t publish_size(const publish_head& h, version v) noexcept;

/// Appends everything up to the payload. Returns the offset in `out` of the two packet id bytes (0 at QoS 0, where
/// there are none), so that the same bytes can be reused for another subscriber with the id patched.
std::size_t append_publish_head(const publish_head& h, version v, std::string& out);

} // namespace fb::proto
