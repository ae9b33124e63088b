// The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding, as a value: messages in, messages
// out. Neither side tells the other the password.
//
// A user who is not known, or has no SCRAM secret, gets the same challenge as others and fails at the proof: nobody
// learns who exists. Names and passwords are compared byte by byte; for other than ASCII the client must have prepared
// them (RFC 4013) as they were when they were stored.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "broker/auth/stored_password.hpp"

namespace fb::auth {

class scram_server {
  public:
    /// Finds a user's secret; nothing for unknown ones.
    using lookup = std::function<std::optional<scram_secret>(std::string_view user)>;

    /// `nonce`: printable ASCII without ','. `decoy_key` makes the salt of users who do not exist: the same each time.
    scram_server(lookup find, std::string nonce, std::string decoy_key);

    /// The challenge, or nothing when the client's first message is not one.
    std::optional<std::string> first(std::string_view client_first);
    /// The server's own proof ("v=..."), or nothing when the client's proof is wrong. Once, after first().
    std::optional<std::string> final(std::string_view client_final);

    const std::string& user() const noexcept { return user_; }

  private:
    lookup find_;
    std::string nonce_;
    std::string decoy_key_;
    std::string user_;
    std::string gs2_header_;
    std::string client_first_bare_;
    std::string server_first_;
    scram_secret secret_;
    bool known_ = false;
};

} // namespace fb::auth
