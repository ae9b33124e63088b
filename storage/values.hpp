// The value types of the data model: UUIDs (version 7, time-ordered) and UTC timestamps with milliseconds.
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fb::storage {

using timestamp = std::chrono::sys_time<std::chrono::milliseconds>;

/// "2026-11-22T10:15:30.123Z": sorts as text; RFC 3339.
std::string format_timestamp(timestamp t);
std::optional<timestamp> parse_timestamp(std::string_view text); // accepts what format_timestamp writes

/// Tagged, so that the id of a device cannot be passed where that of an update is meant. RFC 9562.
template <class Tag>
struct uuid {
    std::array<std::uint8_t, 16> bytes{};

    bool is_nil() const noexcept { return bytes == std::array<std::uint8_t, 16>{}; }
    friend auto operator<=>(const uuid&, const uuid&) = default;
};

using device_uuid = uuid<struct device_tag>;
using firmware_uuid = uuid<struct firmware_tag>;
using update_uuid = uuid<struct update_tag>;
using result_uuid = uuid<struct result_tag>;
using event_uuid = uuid<struct event_tag>;
using token_uuid = uuid<struct token_tag>;
using gateway_uuid = uuid<struct gateway_tag>;
using hint_uuid = uuid<struct hint_tag>;

/// Version 7 of the given time; strictly increasing within the process. Any thread.
std::array<std::uint8_t, 16> make_uuid_v7(timestamp now);
/// Later UUIDs will be greater than this one, so that ids keep their order over a restart with the clock set back.
void raise_uuid_floor(const std::array<std::uint8_t, 16>& bytes);
std::string format_uuid(const std::array<std::uint8_t, 16>& bytes); // 36 characters, lower case
std::optional<std::array<std::uint8_t, 16>> parse_uuid(std::string_view text);

template <class Id>
Id new_id(timestamp now) {
    return Id{make_uuid_v7(now)};
}
template <class Tag>
std::string to_string(const uuid<Tag>& id) {
    return format_uuid(id.bytes);
}
template <class Id>
std::optional<Id> parse_id(std::string_view text) {
    if (auto bytes = parse_uuid(text)) return Id{*bytes};
    return std::nullopt;
}

} // namespace fb::storage
