#include "http/tokens.hpp"

#include "certs/digest.hpp"

namespace fb::http {

std::optional<role> parse_role(std::string_view text) noexcept {
    for (const role r : {role::viewer, role::operator_, role::approver, role::admin})
        if (text == to_string(r)) return r;
    return std::nullopt;
}

const char* to_string(role r) noexcept {
    switch (r) {
    case role::viewer: return "viewer";
    case role::operator_: return "operator";
    case role::approver: return "approver";
    case role::admin: return "admin";
    }
    return "";
}

new_token make_token(std::string name, role r, storage::timestamp now, std::optional<storage::timestamp> expires) {
    new_token made;
    made.secret = "fb_" + certs::base64url(certs::random_bytes(32));
    made.row.id = storage::new_id<storage::token_uuid>(now);
    made.row.name = std::move(name);
    made.row.role = to_string(r);
    made.row.hash = token_hash(made.secret);
    made.row.created_at = now;
    made.row.expires_at = expires;
    return made;
}

storage::audit_entry token_entry(std::string by, std::string action, const storage::api_token& t,
                                 storage::timestamp now) {
    return {now, std::move(by), std::move(action), to_string(t.id), t.name + ", " + t.role};
}

std::string token_hash(std::string_view secret) { return certs::sha256_hex(secret); }

} // namespace fb::http
