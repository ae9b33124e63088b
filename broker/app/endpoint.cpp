#include "broker/app/endpoint.hpp"

#include <algorithm>
#include <charconv>

namespace fb::app {
namespace {

std::uint16_t default_port(std::string_view scheme) {
    if (scheme == "mqtt") return 1883;
    if (scheme == "mqtts") return 8883;
    if (scheme == "ws") return 8083;
    if (scheme == "wss") return 8084;
    return scheme == "https" ? 8443 : 8080;
}

bool valid_host(std::string_view host, bool bracketed) {
    const auto allowed = [bracketed](char c) {
        const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        return alphanumeric || c == '.' || (bracketed ? c == ':' || c == '%' : c == '-' || c == '_');
    };
    return !host.empty() && std::all_of(host.begin(), host.end(), allowed);
}

/// Of a URL, without a query: what a browser would send as it is.
bool valid_path(std::string_view path) {
    const auto allowed = [](char c) {
        const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        return alphanumeric || std::string_view("/-._~%!$&'()*+,;=:@").find(c) != std::string_view::npos;
    };
    return path.starts_with('/') && std::all_of(path.begin(), path.end(), allowed);
}

std::optional<endpoint> unix_endpoint(std::string_view path) {
    if (path.size() < 2 || !path.starts_with('/') || path.find('\0') != std::string_view::npos) return std::nullopt;
    return endpoint{"unix", "", 0, std::string(path)};
}

bool read_port(std::string_view text, std::uint16_t& port) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc{} && end == text.data() + text.size();
}

} // namespace

std::optional<endpoint> parse_endpoint(std::string_view text, std::span<const std::string_view> schemes) {
    const auto colon = text.find("://");
    if (colon == std::string_view::npos) return std::nullopt;
    const auto scheme = text.substr(0, colon);
    if (std::find(schemes.begin(), schemes.end(), scheme) == schemes.end()) return std::nullopt;

    auto rest = text.substr(colon + 3);
    if (scheme == "unix") return unix_endpoint(rest);
    endpoint out{std::string(scheme), "", default_port(scheme)};
    if (out.websocket()) {
        const auto path = std::min(rest.find('/'), rest.size());
        out.path = path == rest.size() ? "/mqtt" : rest.substr(path);
        if (!valid_path(out.path)) return std::nullopt;
        rest = rest.substr(0, path);
    }
    const bool bracketed = rest.starts_with('[');
    const auto host_end = bracketed ? rest.find(']') : rest.find(':');
    if (bracketed && host_end == std::string_view::npos) return std::nullopt;
    const auto host = rest.substr(bracketed ? 1 : 0, bracketed ? host_end - 1 : host_end);
    if (!valid_host(host, bracketed)) return std::nullopt;

    out.host = host;
    rest = host_end == std::string_view::npos ? std::string_view{} : rest.substr(host_end + (bracketed ? 1 : 0));
    if (rest.empty()) return out;
    if (rest.front() != ':' || !read_port(rest.substr(1), out.port)) return std::nullopt;
    return out;
}

std::string endpoint_forms(std::span<const std::string_view> schemes) {
    std::string out;
    for (const auto& scheme : schemes) {
        const bool last = &scheme == &schemes.back();
        out += (out.empty() ? "\"" : last ? " or \"" : ", \"") + std::string(scheme) + "://";
        out += scheme == "unix" ? "/path\"" : scheme.starts_with("ws") ? "host:port/path\"" : "host:port\"";
    }
    return out + " (an IPv6 address in [ ])";
}

std::string to_string(const endpoint& e) {
    if (e.unix_socket()) return "unix://" + e.path;
    const bool v6 = e.host.find(':') != std::string::npos;
    return e.scheme + "://" + (v6 ? "[" + e.host + "]" : e.host) + ":" + std::to_string(e.port) + e.path;
}

} // namespace fb::app
