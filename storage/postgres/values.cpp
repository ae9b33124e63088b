#include "storage/postgres/values.hpp"

#include <algorithm>

namespace fb::storage::postgres {

namespace {

/// Bytes that follow the first one of a character; negative: no first byte.
int followers(unsigned char first) {
    if (first < 0x80) return first == 0 ? -1 : 0;
    if (first < 0xC2 || first > 0xF4) return -1;
    return first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
}

/// Overlong forms, surrogates, and what lies beyond U+10FFFF.
bool second_byte_fits(unsigned char first, unsigned char second) {
    switch (first) {
    case 0xE0: return second >= 0xA0;
    case 0xED: return second < 0xA0;
    case 0xF0: return second >= 0x90;
    case 0xF4: return second < 0x90;
    default: return true;
    }
}

} // namespace

bool storable(std::string_view text) noexcept {
    for (std::size_t at = 0; at < text.size();) {
        const auto first = static_cast<unsigned char>(text[at]);
        const int more = followers(first);
        if (more < 0 || text.size() - at <= static_cast<std::size_t>(more)) return false;
        const auto tail = text.substr(at + 1, static_cast<std::size_t>(more));
        if (!std::all_of(tail.begin(), tail.end(), [](char c) { return (c & 0xC0) == 0x80; })) return false;
        if (more > 0 && !second_byte_fits(first, static_cast<unsigned char>(tail[0]))) return false;
        at += 1 + tail.size();
    }
    return true;
}

error not_storable() { return {error_kind::invalid, "PostgreSQL keeps no text that holds a NUL or is not UTF-8"}; }

std::optional<timestamp> parse_server_time(std::string_view text) {
    constexpr std::size_t seconds_size = std::string_view("2026-11-22 10:15:30").size();
    if (!text.ends_with("+00") || text.size() < seconds_size + 3) return std::nullopt;
    text.remove_suffix(3);
    std::string iso(text);
    iso[10] = 'T';
    if (iso.size() == seconds_size) iso += '.';
    iso.resize(seconds_size + 4, '0');
    iso += 'Z';
    return parse_timestamp(iso);
}

} // namespace fb::storage::postgres
