// Cursors of lists: which list, and the sort key of the last row given. Opaque to callers, the same for every engine.
// Pure functions, any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/fota_store.hpp"

namespace fb::storage {

/// The sort key of the last row, one text per column. `list` tells lists apart: a cursor of one is unreadable in
/// another.
std::string make_cursor(char list, const std::vector<std::string>& key);

/// The key that `q` continues after, with `columns` texts, or empty for a first page. invalid: a limit outside 1-500,
/// an unreadable cursor.
result<std::vector<std::string>> check_page(const list_query& q, char list, std::size_t columns);

constexpr char device_list = 'd';   // device_id
constexpr char firmware_list = 'f'; // id
constexpr char update_list = 'u';   // id
constexpr char result_list = 'r';   // timestamp, id
constexpr char fleet_list = 'v';    // device_type, firmware_version
constexpr char stuck_list = 'k';    // device_id

} // namespace fb::storage
