// The HTTP request with which a WebSocket begins, and our answer to it. Pure; Boost.Beast reads and writes the HTTP.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fb::net {

struct websocket_settings {
    std::string path = "/mqtt";
    std::vector<std::string> origins{}; // pages that may connect; empty: any. Who sends no Origin is no browser
};

inline constexpr std::size_t upgrade_bytes_max = 8 * 1024; // of the request

struct upgrade_answer {
    std::string response; // to be sent as it is
    std::string refusal;  // empty: from here on the connection is a WebSocket
};

/// `bytes` is all that has come so far, `seen` of them were given before. Nothing: the request is not complete.
std::optional<upgrade_answer> answer_upgrade(std::string_view bytes, std::size_t seen, const websocket_settings& s);

} // namespace fb::net
