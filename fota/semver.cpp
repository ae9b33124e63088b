#include "fota/semver.hpp"

#include <algorithm>

namespace fb::fota {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_identifier_char(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-'; }
bool all_digits(std::string_view text) { return std::all_of(text.begin(), text.end(), is_digit); }
bool is_number(std::string_view text) {
    return !text.empty() && all_digits(text) && (text.size() == 1 || text.front() != '0');
}

enum class zeros { refused, allowed };

/// Splits "a.b.c" and checks each identifier. In pre-releases a number has no leading zeros.
std::optional<std::vector<std::string_view>> identifiers(std::string_view text, zeros leading) {
    std::vector<std::string_view> parts;
    for (;;) {
        const auto dot = text.find('.');
        const auto part = text.substr(0, dot);
        if (part.empty() || !std::all_of(part.begin(), part.end(), is_identifier_char)) return std::nullopt;
        if (leading == zeros::refused && all_digits(part) && !is_number(part)) return std::nullopt;
        parts.push_back(part);
        if (dot == std::string_view::npos) return parts;
        text.remove_prefix(dot + 1);
    }
}

std::weak_ordering compare_numbers(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return a.size() <=> b.size();
    return a.compare(b) <=> 0;
}

std::weak_ordering compare_identifiers(std::string_view a, std::string_view b) {
    const bool a_number = all_digits(a), b_number = all_digits(b);
    if (a_number && b_number) return compare_numbers(a, b);
    if (a_number != b_number) return a_number ? std::weak_ordering::less : std::weak_ordering::greater;
    return a.compare(b) <=> 0;
}

} // namespace

std::optional<semver> parse_semver(std::string_view text) {
    if (const auto plus = text.find('+'); plus != std::string_view::npos) {
        if (!identifiers(text.substr(plus + 1), zeros::allowed)) return std::nullopt;
        text = text.substr(0, plus);
    }
    semver version;
    if (const auto dash = text.find('-'); dash != std::string_view::npos) {
        auto parts = identifiers(text.substr(dash + 1), zeros::refused);
        if (!parts) return std::nullopt;
        version.prerelease = std::move(*parts);
        text = text.substr(0, dash);
    }
    const auto first = text.find('.');
    if (first == std::string_view::npos) return std::nullopt;
    const auto second = text.find('.', first + 1);
    if (second == std::string_view::npos) return std::nullopt;
    version.major = text.substr(0, first);
    version.minor = text.substr(first + 1, second - first - 1);
    version.patch = text.substr(second + 1);
    if (!is_number(version.major) || !is_number(version.minor) || !is_number(version.patch)) return std::nullopt;
    return version;
}

std::weak_ordering compare(const semver& a, const semver& b) {
    if (auto order = compare_numbers(a.major, b.major); order != 0) return order;
    if (auto order = compare_numbers(a.minor, b.minor); order != 0) return order;
    if (auto order = compare_numbers(a.patch, b.patch); order != 0) return order;
    if (a.prerelease.empty() || b.prerelease.empty()) return a.prerelease.empty() <=> b.prerelease.empty();
    const auto common = std::min(a.prerelease.size(), b.prerelease.size());
    for (std::size_t i = 0; i < common; ++i)
        if (auto order = compare_identifiers(a.prerelease[i], b.prerelease[i]); order != 0) return order;
    return a.prerelease.size() <=> b.prerelease.size();
}

bool older(std::string_view a, std::string_view b) {
    const auto left = parse_semver(a), right = parse_semver(b);
    return left && right && compare(*left, *right) < 0;
}

} // namespace fb::fota
