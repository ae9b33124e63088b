// Download URLs that expire and are bound to one device, update and attempt by an HMAC (fota.md section 9, Download).
#pragma once

#include <string>
#include <string_view>

#include "storage/values.hpp"

namespace fb::fota {

/// What the HMAC covers; every member is text exactly as it stands in the URL.
struct url_claim {
    std::string firmware_id, device_id, update_id, attempt, expires;
};

std::string sign_url(std::string_view key, const url_claim& claim); // base64url
bool url_signature_valid(std::string_view key, const url_claim& claim, std::string_view signature) noexcept;
/// False as well when `expires` is no plain decimal number.
bool url_unexpired(std::string_view expires, storage::timestamp now) noexcept;

/// "u=...&a=...&e=...&s=..."
std::string url_query(std::string_view key, const url_claim& claim);

} // namespace fb::fota
