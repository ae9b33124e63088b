// The URLs this program is given: mqtt://host[:port], mqtts://..., http(s)://host[:port]/target. No user info, no
// fragment: a gateway never sends one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fb::fleet {

struct url {
    std::string scheme; // "mqtt", "mqtts", "http" or "https"
    std::string host;   // without the brackets of an IPv6 address
    std::uint16_t port = 0;
    std::string target; // path and query, at least "/"

    bool secure() const { return scheme == "mqtts" || scheme == "https"; }
};

/// Nothing for another scheme, an empty host or a port that is no port.
std::optional<url> parse_url(std::string_view text);

} // namespace fb::fleet
