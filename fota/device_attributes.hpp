// The JSON object in devices.attributes: what a device tells about itself and no column holds. Pure functions.
#pragma once

#include <optional>
#include <string>

#include "fota/wire.hpp"

namespace fb::fota {

/// The attributes with the report's battery, boot_id, caps and ip put in; other members stay as they are. The result
/// equals the input, byte for byte, when nothing changed.
std::string merge_attributes(const std::string& attributes, const status_report& report);

std::optional<std::string> boot_id_of(const std::string& attributes);
/// caps.confirm: a success of this device counts only once a status has confirmed it.
bool wants_confirmation(const std::string& attributes);

/// True when `value` is in a JSON list of strings.
bool list_holds(const std::string& json_list, const std::string& value);
bool list_empty(const std::string& json_list);

} // namespace fb::fota
