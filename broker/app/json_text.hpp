// JSON for the command line's --json: rows of named texts. Any thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fb::app {

using json_row = std::vector<std::pair<const char*, std::optional<std::string>>>; // an empty optional is null

std::string json_object(const json_row& row);
std::string json_array(const std::vector<json_row>& rows);

} // namespace fb::app
