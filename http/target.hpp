// A request target taken apart: decoded path segments and query parameters. Strict, because everything after it trusts
// the result: no control characters, UTF-8 throughout, no "." or ".." segment, no slash hidden in an escape. Pure; any
// thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/problem.hpp"

namespace fb::http {

inline constexpr std::size_t target_bytes_max = 8 * 1024;
inline constexpr std::size_t query_parameters_max = 64;

struct target {
    std::string path;                  // as sent, without the query
    std::vector<std::string> segments; // "/a/b" is {"a","b"}; "/" is {""}
    std::vector<std::pair<std::string, std::string>> query;

    /// The first of that name.
    std::optional<std::string> parameter(std::string_view name) const;
};

/// Origin form, or absolute form whose scheme and authority are dropped. 400 or 414 otherwise.
or_problem<target> parse_target(std::string_view raw);

/// Nothing for a broken escape, a control character or what is not UTF-8. With `form`, '+' is a space.
std::optional<std::string> percent_decode(std::string_view text, bool form);

} // namespace fb::http
