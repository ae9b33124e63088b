#include "broker/app/endpoint.hpp"

#include <algorithm>
#include <charconv>

namespace fb::app {
namespace {

std::uint16_t default_port(std::string_view scheme) {
    if (scheme == "mqtt") return 1883;
    if (scheme == "mqtts") return 8883;
    return scheme == "https" ? 8443 : 8080;
}

bool valid_host(std::string_view host, bool bracketed) {
    const auto allowed = [bracketed](char c) {
        const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        return alphanumeric || c == '.' || (bracketed ? c == ':' || c == '%' : c == '-' || c == '_');
    };
    return !host.empty() && std::all_of(host.begin(), host.end(), allowed);
}

} // namespace

std::optional<endpoint> parse_endpoint(std::string_view text, std::span<const std::string_view> schemes) {
    const auto colon = text.find("://");
    if (colon == std::string_view::npos) return std::nullopt;
    const auto scheme = text.substr(0, colon);
    if (std::find(schemes.begin(), schemes.end(), scheme) == schemes.end()) return std::nullopt;

    auto rest = text.substr(colon + 3);
    const bool bracketed = rest.starts_with('[');
    const auto host_end = bracketed ? rest.find(']') : rest.find(':');
    if (bracketed && host_end == std::string_view::npos) return std::nullopt;
    const auto host = rest.substr(bracketed ? 1 : 0, bracketed ? host_end - 1 : host_end);
    if (!valid_host(host, bracketed)) return std::nullopt;

    endpoint out{std::string(scheme), std::string(host), default_port(scheme)};
    rest = host_end == std::string_view::npos ? std::string_view{} : rest.substr(host_end + (bracketed ? 1 : 0));
    if (rest.empty()) return out;
    if (rest.front() != ':') return std::nullopt;
    rest.remove_prefix(1);
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), out.port);
    if (error != std::errc{} || end != rest.data() + rest.size()) return std::nullopt;
    return out;
}

std::string to_string(const endpoint& e) {
    const bool v6 = e.host.find(':') != std::string::npos;
    return e.scheme + "://" + (v6 ? "[" + e.host + "]" : e.host) + ":" + std::to_string(e.port);
}

} // namespace fb::app
