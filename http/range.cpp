#include "http/range.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "http/trim.hpp"

namespace fb::http {

namespace {

/// Digits only; what is too large for 63 bits is the largest number, which no file reaches.
std::optional<std::int64_t> number(std::string_view digits) {
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error == std::errc::result_out_of_range) return std::numeric_limits<std::int64_t>::max();
    return value;
}

bool is_bytes_unit(std::string_view unit) {
    constexpr std::string_view bytes = "bytes";
    return std::equal(unit.begin(), unit.end(), bytes.begin(), bytes.end(),
                      [](char a, char b) { return (a | 0x20) == b; });
}

} // namespace

byte_range parse_range(std::string_view header, std::int64_t size) {
    const byte_range whole{byte_range::kind::whole, 0, size};
    constexpr byte_range unsatisfiable{byte_range::kind::unsatisfiable, 0, 0};
    const auto equals = header.find('=');
    if (equals == std::string_view::npos || !is_bytes_unit(trimmed(header.substr(0, equals)))) return whole;
    const auto spec = trimmed(header.substr(equals + 1));
    const auto dash = spec.find('-');
    if (dash == std::string_view::npos) return whole;
    const auto left = spec.substr(0, dash), right = spec.substr(dash + 1);

    if (left.empty()) { // the last n bytes
        const auto count = number(right);
        if (!count) return whole;
        if (*count == 0 || size == 0) return unsatisfiable;
        return {byte_range::kind::part, std::max<std::int64_t>(0, size - *count), size};
    }
    const auto first = number(left);
    const auto last = right.empty() ? std::numeric_limits<std::int64_t>::max() : number(right);
    if (!first || !last || *last < *first) return whole;
    if (*first >= size) return unsatisfiable;
    return {byte_range::kind::part, *first, *last >= size ? size : *last + 1};
}

} // namespace fb::http
