// The update command that a device receives on device/{id}/update (fota.md section 1), as JSON.
#pragma once

#include <string>

#include "fota/settings.hpp"
#include "storage/records.hpp"

namespace fb::fota {

/// The query `e` of a download URL: the update's deadline and an hour for the last transfer.
storage::timestamp url_expiry(const storage::update& row);

std::string download_url(const settings& s, const storage::update_view& update, const storage::firmware& firmware);
std::string encode_install(const settings& s, const storage::update_view& update, const storage::firmware& firmware);
std::string encode_cancel(const storage::update_uuid& update_id);

} // namespace fb::fota
