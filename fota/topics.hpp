// The topics of the native device protocol, device/{id}/...: taken apart and put together. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fb::fota {

/// What a device publishes for us; everything else below its prefix is no business of this module.
enum class report_kind { status, progress, result, fetch };

struct report_topic {
    std::string_view device_id; // view into the topic; a valid device id
    report_kind kind{};
};
std::optional<report_topic> parse_report_topic(std::string_view topic);

std::string update_topic(std::string_view device_id);
std::string fetch_error_topic(std::string_view device_id);
std::string fetch_data_topic(std::string_view device_id, std::uint32_t rid, std::uint64_t offset);

/// A response topic must lie below device/{id}/ and be a topic name (no wildcards, no NUL).
bool own_response_topic(std::string_view device_id, std::string_view topic);

} // namespace fb::fota
