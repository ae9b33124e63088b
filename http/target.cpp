#include "http/target.hpp"

#include "http/json.hpp"

namespace fb::http {

namespace {

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool is_control(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
}

problem bad_target(const char* what) { return {400, "invalid_target", what}; }

/// "http://host/path" is "/path": RFC 9112 3.2.2 wants servers to take it.
std::string_view without_authority(std::string_view raw) {
    const auto scheme = raw.find("://");
    if (raw.starts_with('/') || scheme == std::string_view::npos) return raw;
    const auto path = raw.find_first_of("/?", scheme + 3);
    return path == std::string_view::npos ? std::string_view("/") : raw.substr(path);
}

bool parse_path(std::string_view path, target& out) {
    out.path = path;
    path.remove_prefix(1);
    while (true) {
        const auto slash = path.find('/');
        auto segment = percent_decode(path.substr(0, slash), false);
        if (!segment || *segment == "." || *segment == ".." || segment->find_first_of("/\\") != std::string::npos)
            return false;
        out.segments.push_back(std::move(*segment));
        if (slash == std::string_view::npos) return true;
        path.remove_prefix(slash + 1);
    }
}

bool parse_query(std::string_view query, target& out) {
    while (!query.empty()) {
        const auto piece = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(query.size(), piece.size() + 1));
        if (piece.empty()) continue;
        const auto equals = piece.find('=');
        auto name = percent_decode(piece.substr(0, equals), true);
        auto value = percent_decode(equals == std::string_view::npos ? "" : piece.substr(equals + 1), true);
        if (!name || !value || out.query.size() == query_parameters_max) return false;
        out.query.emplace_back(std::move(*name), std::move(*value));
    }
    return true;
}

} // namespace

std::optional<std::string> target::parameter(std::string_view name) const {
    for (const auto& [key, value] : query)
        if (key == name) return value;
    return std::nullopt;
}

std::optional<std::string> percent_decode(std::string_view text, bool form) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            if (text.size() - i < 3) return std::nullopt;
            const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
            if (high < 0 || low < 0) return std::nullopt;
            c = static_cast<char>(high * 16 + low);
            i += 2;
        } else if (c == '+' && form) {
            c = ' ';
        }
        if (is_control(c)) return std::nullopt;
        out.push_back(c);
    }
    if (!valid_utf8(out)) return std::nullopt; // it is quoted in answers, which are JSON
    return out;
}

or_problem<target> parse_target(std::string_view raw) {
    if (raw.size() > target_bytes_max)
        return problem{414, "target_too_long", "the request target is longer than 8192 bytes"};
    const auto origin = without_authority(raw);
    target out;
    const auto path = origin.substr(0, origin.find_first_of("?#"));
    if (!path.starts_with('/')) return bad_target("the request target must begin with '/'");
    if (!parse_path(path, out))
        return bad_target("the path holds a broken %-escape, a control character, bytes that are not UTF-8, a dot "
                          "segment or a hidden slash");
    auto rest = origin.substr(path.size());
    rest = rest.substr(0, rest.find('#'));
    if (rest.starts_with('?')) rest.remove_prefix(1);
    if (!parse_query(rest, out))
        return bad_target("the query holds a broken %-escape, a control character, bytes that are not UTF-8, or more "
                          "than 64 parameters");
    return out;
}

} // namespace fb::http
