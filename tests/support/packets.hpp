// One table of named packets, valid and malformed, of every type and both versions. Unit tests walk it; the fuzz
// targets start from it.
//
// A body is written in a small notation: hex digits; 'text' as it is; <text> as a string with its two bytes of length;
// [...] as a block with its length as a variable byte integer in front (a property block). The remaining length is
// computed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proto/error.hpp"
#include "proto/types.hpp"

namespace fb::test {

enum class sender { client, server };

/// What the encoder makes of a valid packet.
enum class round_trip {
    same,      // the same bytes
    different, // another encoding of the same packet: properties in another order, a form longer than needed
};

inline constexpr proto::decode_error decodes{proto::reason_code::success, "", ""};

struct named_packet {
    std::string name;
    proto::version version;
    std::uint8_t first_byte;
    std::string_view body;                  // in the notation
    proto::decode_error expected = decodes; // its words are not compared
    sender from = sender::client;
    round_trip encoded = round_trip::same;

    bool valid() const { return expected.reason == proto::reason_code::success; }
    std::string bytes() const;
};

/// Renders the notation.
std::string render(std::string_view notation);

/// A fixed header with the right remaining length, and the body (bytes, not notation).
std::string packet_bytes(std::uint8_t first_byte, std::string_view body);

/// The whole table.
std::vector<named_packet> named_packets();

inline void append_varint(std::string& out, std::size_t value) {
    for (; value >= 128; value >>= 7) out += static_cast<char>((value & 0x7F) | 0x80);
    out += static_cast<char>(value);
}

inline std::string packet_bytes(std::uint8_t first_byte, std::string_view body) {
    std::string out(1, static_cast<char>(first_byte));
    append_varint(out, body.size());
    return out.append(body);
}

inline std::string render(std::string_view notation) {
    const auto hex_value = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
    std::string out;
    for (std::size_t i = 0; i < notation.size(); ++i) {
        const char c = notation[i];
        if (c == ' ') continue;
        if (c == '\'' || c == '<') {
            const auto end = notation.find(c == '<' ? '>' : '\'', i + 1);
            const auto text = notation.substr(i + 1, end - i - 1);
            if (c == '<') out.append({static_cast<char>(text.size() >> 8), static_cast<char>(text.size())});
            out.append(text);
            i = end;
        } else if (c == '[') {
            const auto end = notation.find(']', i);
            const auto block = render(notation.substr(i + 1, end - i - 1));
            append_varint(out, block.size());
            out.append(block);
            i = end;
        } else {
            out += static_cast<char>(hex_value(c) << 4 | hex_value(notation[i + 1]));
            ++i;
        }
    }
    return out;
}

inline std::string named_packet::bytes() const { return packet_bytes(first_byte, render(body)); }

} // namespace fb::test

#include "tests/support/packets/acks.hpp"
#include "tests/support/packets/connect.hpp"
#include "tests/support/packets/publish.hpp"
#include "tests/support/packets/session.hpp"
#include "tests/support/packets/subscribe.hpp"

namespace fb::test {

inline std::vector<named_packet> named_packets() {
    std::vector<named_packet> all;
    for (const auto& part : {connect_packets(), connack_packets(), publish_packets(), ack_packets(),
                             subscribe_packets(), session_packets()})
        all.insert(all.end(), part.begin(), part.end());
    return all;
}

} // namespace fb::test
