// Where a listener listens, as the configuration and the command line write it: "mqtts://[::]:8883". Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace fb::app {

struct endpoint {
    std::string scheme;     // "mqtt" | "mqtts" | "http" | "https"
    std::string host;       // a name or an address, IPv6 without its brackets
    std::uint16_t port = 0; // 0: any free one

    bool tls() const { return scheme.back() == 's'; }
    bool loopback() const { return host == "localhost" || host == "::1" || host.starts_with("127."); }
    friend bool operator==(const endpoint&, const endpoint&) = default;
};

/// "scheme://host[:port]"; without a port the scheme's default (1883, 8883, 8080, 8443). Nothing when the text is not
/// one or its scheme is not among `schemes`.
std::optional<endpoint> parse_endpoint(std::string_view text, std::span<const std::string_view> schemes);

std::string to_string(const endpoint& e);

} // namespace fb::app
