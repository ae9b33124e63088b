// The client's side of RFC 6455 for tests: frames as a client sends them, and reading those of a server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fb::test {

/// The first byte of a frame.
enum ws_first : std::uint8_t {
    ws_continuation = 0x80,
    ws_text = 0x81,
    ws_binary = 0x82,
    ws_close = 0x88,
    ws_ping = 0x89,
    ws_pong = 0x8A,
    ws_not_final = 0x80, // to be taken away
};

inline std::string ws_length(std::size_t length, bool masked) {
    const int form = length < 126 ? 0 : length <= 0xFFFF ? 2 : 8;
    std::string out(1, static_cast<char>((masked ? 0x80 : 0) | (form == 0 ? length : form == 2 ? 126u : 127u)));
    for (int i = form - 1; i >= 0; --i) out += static_cast<char>(std::uint64_t{length} >> (8 * i) & 0xFF);
    return out;
}

inline std::string ws_frame(std::string_view payload, std::uint8_t first = ws_binary) {
    constexpr char mask[] = {'\x12', '\xA5', '\x00', '\xFF'};
    std::string out(1, static_cast<char>(first));
    out += ws_length(payload.size(), true);
    out.append(mask, 4);
    for (std::size_t i = 0; i < payload.size(); ++i) out += static_cast<char>(payload[i] ^ mask[i % 4]);
    return out;
}

/// The same payload in frames of at most `each` bytes: fragments of one message, or messages of their own.
inline std::string ws_frames(std::string_view payload, std::size_t each, bool one_message) {
    std::string out;
    for (std::size_t at = 0; at < payload.size(); at += each) {
        const bool first = !one_message || at == 0;
        const bool last = !one_message || at + each >= payload.size();
        const int opcode = first ? ws_binary : ws_continuation;
        out += ws_frame(payload.substr(at, each), static_cast<std::uint8_t>(last ? opcode : opcode - ws_not_final));
    }
    return out;
}

struct ws_server_frame {
    std::uint8_t first = 0;
    std::string payload;
};

/// Takes the first frame of a server from `in`; nothing when it is not complete.
inline std::optional<ws_server_frame> ws_take(std::string& in) {
    const auto byte = [&in](std::size_t at) { return static_cast<std::uint8_t>(in[at]); };
    if (in.size() < 2) return std::nullopt;
    std::uint64_t length = byte(1); // not masked
    const std::size_t header = length == 127 ? 10 : length == 126 ? 4 : 2;
    if (in.size() < header) return std::nullopt;
    if (header > 2) length = 0;
    for (std::size_t i = 2; i < header; ++i) length = length << 8 | byte(i);
    if (in.size() < header + length) return std::nullopt;
    ws_server_frame out{byte(0), in.substr(header, length)};
    in.erase(0, header + length);
    return out;
}

inline std::string ws_request(const std::string& path = "/mqtt", const std::string& more = "") {
    return "GET " + path +
           " HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
           "Sec-WebSocket-Protocol: mqtt\r\n" +
           more + "\r\n";
}

} // namespace fb::test
