// A password as it is kept: never the password itself. Three forms, told apart by how they begin:
//
//   SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>   ours and PostgreSQL's; also proves by SCRAM (RFC
//   5803) $7$<iterations>$<salt>$<hash>                                 mosquitto 2: PBKDF2 with HMAC-SHA-512
//   $6$<salt>$<hash>                                              mosquitto 1: SHA-512 of password and salt
//
// All binary parts are base64. Values; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace fb::auth {

/// RFC 5802 section 3. Who holds it can check a proof but cannot make one.
struct scram_secret {
    unsigned iterations = 0;
    std::string salt;
    std::string stored_key;
    std::string server_key;
};

struct pbkdf2_hash {
    unsigned iterations = 0;
    std::string salt;
    std::string hash;
};

struct salted_hash {
    std::string salt;
    std::string hash;
};

using stored_password = std::variant<scram_secret, pbkdf2_hash, salted_hash>;

inline constexpr unsigned iterations_default = 4096; // RFC 7677 section 4: at least
inline constexpr unsigned iterations_max = 10'000'000;

/// Nothing when it has none of the three forms, or an impossible number or length in it.
std::optional<stored_password> parse_stored_password(std::string_view text);
std::string to_text(const stored_password& p);

scram_secret make_scram_secret(std::string_view password, unsigned iterations, std::string_view salt);
pbkdf2_hash make_pbkdf2_hash(std::string_view password, unsigned iterations, std::string_view salt);

/// As slow as its iterations; the same time whatever the password is.
bool matches(const stored_password& p, std::string_view password);

} // namespace fb::auth
