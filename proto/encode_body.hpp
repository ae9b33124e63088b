// What all encoders share: the fixed header around a body, the property block with its length, and the trimming of
// what a small Maximum Packet Size does not leave room for.
#pragma once

#include <cassert>
#include <string>

#include "proto/encode.hpp"
#include "proto/property_reader.hpp"
#include "proto/rule.hpp"
#include "proto/writer.hpp"

namespace fb::proto {

/// How much of the optional diagnostics a packet carries.
enum class keep : std::uint8_t { everything, reason_string, neither };

constexpr unsigned first_byte(packet_type type, unsigned flags = 0) noexcept {
    return static_cast<unsigned>(type) << 4 | flags;
}

/// Appends one packet; `body(sink)` writes its variable header and payload, twice. False when it is larger than
/// allowed.
template <class Body>
bool append_packet(unsigned first, std::string& out, std::uint32_t packet_size_max, const Body& body) {
    byte_counter counter;
    body(counter);
    const std::size_t length = counter.size();
    const std::size_t size = 1 + varint_size(length) + length;
    if (length > varint_max || size > packet_size_max) return false;
    const std::size_t start = out.size();
    out.resize(start + size);
    byte_writer writer(out.data() + start);
    writer.u8(rule<"v5[MQTT-2.1.3-1]", "v311[MQTT-2.2.2-1]">(first));
    writer.varint(length);
    body(writer);
    assert(writer.position() == out.data() + out.size());
    return true;
}

/// The statements that say which diagnostics go when a packet would be too large.
struct trim_rules {
    rule_ids user_properties;
    rule_ids reason_string;
};

/// The same for packets that may go without their diagnostics: first the user properties go, then the reason string.
/// `body(sink, keep)`.
template <class Body>
bool append_trimmed(unsigned first, const trim_rules& rules, std::string& out, std::uint32_t packet_size_max,
                    const Body& body) {
    const auto append = [&](keep kept) {
        return append_packet(first, out, packet_size_max, [&](auto& sink) { body(sink, kept); });
    };
    if (rules.user_properties.decide(append(keep::everything), true)) return true;
    if (rules.reason_string.decide(append(keep::reason_string), true)) return true;
    return append(keep::neither);
}

/// Writes the values of `p`, whose put(sink, p, kept) is found in encode_properties.hpp, with their length in front.
template <class Sink, class Properties>
void put_block(Sink& sink, const Properties& p, keep kept) {
    byte_counter counter;
    put(counter, p, kept);
    sink.varint(rule<"v5[MQTT-2.2.2-1]">(counter.size()));
    put(sink, p, kept);
}

template <class Properties>
bool any_to_put(const Properties& p, keep kept) {
    byte_counter counter;
    put(counter, p, kept);
    return counter.size() != 0;
}

} // namespace fb::proto
