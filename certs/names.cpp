#include "certs/names.hpp"

#include <algorithm>

namespace fb::certs {

namespace {

bool digit(char c) { return c >= '0' && c <= '9'; }

bool valid_label(std::string_view label) {
    const auto allowed = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || digit(c) || c == '-' || c == '_';
    };
    return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
           std::all_of(label.begin(), label.end(), allowed);
}

} // namespace

bool valid_dns_name(std::string_view name) noexcept {
    if (name.size() > 253) return false;
    if (name.starts_with("*.")) name.remove_prefix(2);
    while (true) {
        const auto dot = name.find('.');
        const auto label = name.substr(0, dot);
        if (!valid_label(label)) return false;
        if (dot == name.npos) return !std::all_of(label.begin(), label.end(), digit);
        name.remove_prefix(dot + 1);
    }
}

std::string quoted(std::string name) {
    std::replace_if(
        name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
    return "'" + name + "'";
}

} // namespace fb::certs
