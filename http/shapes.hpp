// The JSON shapes of fota.md section 9. Pure; any thread.
#pragma once

#include <string>

#include "fota/service.hpp"
#include "http/json.hpp"
#include "storage/fota_store.hpp"

namespace fb::http {

/// `live`, when there, knows better about presence and the open update.
void write(json_text& out, const storage::device& row, const fota::live_device* live);
/// `url` is the stored path behind `public_url`; with an empty one it stays a path on this server.
void write(json_text& out, const storage::firmware& row, const std::string& public_url);
void write_members(json_text& out, const storage::update_view& view); // without the braces
void write(json_text& out, const storage::update_view& view);
void write(json_text& out, const storage::result_view& view);
void write(json_text& out, const storage::update_event& event);

} // namespace fb::http
