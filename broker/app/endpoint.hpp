// Where a listener listens, as the configuration and the command line write it: "mqtts://[::]:8883",
// "wss://0.0.0.0:8084/mqtt", "unix:///run/fotabroker.sock". Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace fb::app {

struct endpoint {
    std::string scheme;     // "mqtt" | "mqtts" | "ws" | "wss" | "unix" | "http" | "https"
    std::string host;       // a name or an address, IPv6 without its brackets; empty: unix
    std::uint16_t port = 0; // 0: any free one
    std::string path{};     // of ws, wss, unix

    bool tls() const { return scheme == "mqtts" || scheme == "wss" || scheme == "https"; }
    bool websocket() const { return scheme == "ws" || scheme == "wss"; }
    bool unix_socket() const { return scheme == "unix"; }
    bool loopback() const { return host == "localhost" || host == "::1" || host.starts_with("127."); }
    friend bool operator==(const endpoint&, const endpoint&) = default;
};

inline constexpr std::array<std::string_view, 5> mqtt_schemes{"mqtt", "mqtts", "ws", "wss", "unix"};
inline constexpr std::array<std::string_view, 2> http_schemes{"http", "https"};

/// "scheme://host[:port]", for ws and wss "[/path]" behind it, or "unix:///path"; without a port the scheme's default
/// (1883, 8883, 8083, 8084, 8080, 8443), without a path "/mqtt". Nothing when the text is not one or its scheme is not
/// among `schemes`.
std::optional<endpoint> parse_endpoint(std::string_view text, std::span<const std::string_view> schemes);

/// What parse_endpoint understands, for a complaint: `"mqtt://host:port", ... or "unix:///path"`.
std::string endpoint_forms(std::span<const std::string_view> schemes);

std::string to_string(const endpoint& e);

} // namespace fb::app
