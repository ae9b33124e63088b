// Semantic versions (semver.org 2.0.0): which of two is newer. Views into the parsed text, no allocation but the
// identifiers' list. Numbers have no size limit, so they are compared as digits.
#pragma once

#include <compare>
#include <optional>
#include <string_view>
#include <vector>

namespace fb::fota {

struct semver {
    std::string_view major, minor, patch;     // digits without leading zeros
    std::vector<std::string_view> prerelease; // dot-separated identifiers, empty for a release
};

/// Nothing when the text is no semantic version; such versions are compared by nobody. Build metadata is checked, then
/// forgotten: it has no precedence.
std::optional<semver> parse_semver(std::string_view text);

std::weak_ordering compare(const semver& a, const semver& b);

/// True only when both are semantic versions and `a` precedes `b`.
bool older(std::string_view a, std::string_view b);

} // namespace fb::fota
