#include "bench/fleet/url.hpp"

#include <charconv>

namespace fb::fleet {
namespace {

struct known_scheme {
    std::string_view name;
    std::uint16_t port;
};
constexpr known_scheme schemes[] = {{"mqtt", 1883}, {"mqtts", 8883}, {"http", 80}, {"https", 443}};

bool parse_port(std::string_view digits, std::uint16_t& port) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    return error == std::errc{} && end == digits.data() + digits.size() && port != 0;
}

/// Splits "host:port", "[v6]:port", "host". False when it is none of them.
bool parse_authority(std::string_view authority, url& out) {
    std::string_view rest;
    if (authority.starts_with('[')) {
        const auto close = authority.find(']');
        if (close == std::string_view::npos) return false;
        out.host = authority.substr(1, close - 1);
        rest = authority.substr(close + 1);
    } else {
        const auto colon = authority.find(':');
        out.host = authority.substr(0, colon);
        rest = colon == std::string_view::npos ? std::string_view{} : authority.substr(colon);
    }
    if (out.host.empty()) return false;
    if (rest.empty()) return true;
    return rest.starts_with(':') && parse_port(rest.substr(1), out.port);
}

} // namespace

std::optional<url> parse_url(std::string_view text) {
    const auto separator = text.find("://");
    if (separator == std::string_view::npos) return std::nullopt;
    url out;
    for (const auto& scheme : schemes) {
        if (scheme.name != text.substr(0, separator)) continue;
        out.scheme = scheme.name;
        out.port = scheme.port;
    }
    if (out.scheme.empty()) return std::nullopt;
    text.remove_prefix(separator + 3);
    const auto slash = text.find('/');
    out.target = slash == std::string_view::npos ? "/" : std::string(text.substr(slash));
    // What goes into a request line must not be able to end it.
    if (out.target.find_first_of(" \r\n\t") != std::string::npos) return std::nullopt;
    const auto authority = text.substr(0, slash);
    if (authority.find('@') != std::string_view::npos || !parse_authority(authority, out)) return std::nullopt;
    return out;
}

} // namespace fb::fleet
