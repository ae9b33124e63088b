// C++ values as the texts PostgreSQL takes and gives, with the types to declare. Bools are t and f, timestamps UTC.
// Pure; any thread.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "storage/columns.hpp"
#include "storage/postgres/connection.hpp"

namespace fb::storage::postgres {

constexpr const char* type_name(column_type type) {
    switch (type) {
    case column_type::text: return "text";
    case column_type::uuid: return "uuid";
    case column_type::time: return "timestamptz";
    case column_type::boolean: return "boolean";
    case column_type::integer: return "integer";
    case column_type::bigint: return "bigint";
    }
    return "text";
}

/// PostgreSQL's types of a row struct's columns.
template <class... Members>
std::vector<const char*> type_names(const std::tuple<Members&...>&) {
    return {type_name(column_type_of<std::remove_const_t<Members>>())...};
}

template <class T>
parameter to_parameter(const T& value) {
    if constexpr (is_optional<T>) {
        if (!value) return std::nullopt;
        return to_parameter(*value);
    } else if constexpr (std::is_same_v<T, timestamp>) {
        return format_timestamp(value);
    } else if constexpr (std::is_same_v<T, bool>) {
        return value ? "t" : "f";
    } else if constexpr (std::is_integral_v<T>) {
        return std::to_string(value);
    } else if constexpr (std::is_enum_v<T> || requires { value.bytes; }) {
        return to_string(value);
    } else {
        return std::string(value);
    }
}

/// PostgreSQL keeps no NUL and nothing that is not UTF-8, and libpq would end the text at a NUL without a word.
bool storable(std::string_view text) noexcept;
error not_storable();

/// "2026-11-22 10:15:30.123+00", as PostgreSQL says it with DateStyle ISO and time zone UTC; cut to milliseconds.
std::optional<timestamp> parse_server_time(std::string_view text);

inline void parse_enum(update_state& out, std::string_view text) { out = parse_update_state(text).value_or(out); }
inline void parse_enum(firmware_state& out, std::string_view text) { out = parse_firmware_state(text).value_or(out); }
inline void parse_enum(result_status& out, std::string_view text) { out = parse_result_status(text).value_or(out); }

// A row that somebody else wrote may hold what we would not: a NULL or unreadable value leaves the member's default.
template <class T>
void from_text(std::optional<std::string_view> text, T& out) {
    if constexpr (is_optional<T>) {
        out.reset();
        if (text) from_text(text, out.emplace());
    } else if (!text) {
        return;
    } else if constexpr (std::is_same_v<T, std::string>) {
        out = *text;
    } else if constexpr (std::is_same_v<T, timestamp>) {
        out = parse_server_time(*text).value_or(out);
    } else if constexpr (std::is_same_v<T, bool>) {
        out = *text == "t";
    } else if constexpr (std::is_arithmetic_v<T>) {
        std::from_chars(text->data(), text->data() + text->size(), out);
    } else if constexpr (std::is_enum_v<T>) {
        parse_enum(out, *text);
    } else {
        out = parse_id<T>(*text).value_or(out);
    }
}

} // namespace fb::storage::postgres
