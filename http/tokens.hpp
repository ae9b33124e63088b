// Bearer tokens: made once, shown once, kept as a SHA-256. "fb_" and 43 characters base64url (256 random bits).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "storage/records.hpp"

namespace fb::http {

enum class role { viewer, operator_, approver, admin }; // each may do what the ones before it may

std::optional<role> parse_role(std::string_view text) noexcept;
const char* to_string(role r) noexcept;

struct new_token {
    std::string secret;     // to be shown once
    storage::api_token row; // to be stored
};
new_token make_token(std::string name, role r, storage::timestamp now, std::optional<storage::timestamp> expires);

std::string token_hash(std::string_view secret);

/// For the audit log: what was done to a token.
storage::audit_entry token_entry(std::string by, std::string action, const storage::api_token& t,
                                 storage::timestamp now);

} // namespace fb::http
