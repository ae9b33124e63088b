// The small vocabulary of MQTT: protocol versions, QoS, packet types, packet ids.
//
// Everything in proto/ is sans-I/O: bytes in, plain structs out (and back). No socket, no thread, no clock, no state
// beyond the objects you hold. Views (std::string_view) in decoded packets point into the bytes that were decoded and
// are valid exactly as long as those bytes are.
#pragma once

#include <cstdint>
#include <string_view>

namespace fb::proto {

/// The protocol level byte of CONNECT. 3.1 (`MQIsdp`) is decoded; whether it is admitted is the broker's decision.
enum class version : std::uint8_t { v3_1 = 3, v3_1_1 = 4, v5 = 5 };

enum class qos : std::uint8_t { at_most_once = 0, at_least_once = 1, exactly_once = 2 };

constexpr qos min(qos a, qos b) noexcept { return a < b ? a : b; }

/// The upper four bits of the first byte. v5 2.1.2.
enum class packet_type : std::uint8_t {
    connect = 1,
    connack = 2,
    publish = 3,
    puback = 4,
    pubrec = 5,
    pubrel = 6,
    pubcomp = 7,
    subscribe = 8,
    suback = 9,
    unsubscribe = 10,
    unsuback = 11,
    pingreq = 12,
    pingresp = 13,
    disconnect = 14,
    auth = 15,
};

std::string_view to_string(packet_type type) noexcept; // "PUBLISH"

/// A packet identifier; 0 is never one on the wire.
using packet_id = std::uint16_t;

/// The largest value a variable byte integer holds, so the largest remaining length. v5 1.5.5.
inline constexpr std::uint32_t varint_max = 268'435'455;

} // namespace fb::proto
