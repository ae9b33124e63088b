// Who may prove who they are with what, as the engine sees it: it starts exchanges and asks the world, by an effect, to
// take the next step of one; the answer comes back as an event. Steps may be slow (password hashing), so they run
// outside the shards; one exchange takes one step at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "broker/core/handles.hpp"
#include "broker/core/principal.hpp"

namespace fb::core {

struct auth_verdict {
    enum class kind : std::uint8_t { accepted, challenge, refused };
    kind what = kind::refused;
    principal_ptr who; // when accepted
    std::string data;  // for the client, with enhanced authentication
    std::string text;  // why refused, for people; never what exactly was wrong with a secret
};

/// One attempt of one client. The first step gets the password, or CONNECT's authentication data; further ones those of
/// AUTH.
class auth_exchange {
  public:
    virtual ~auth_exchange() = default;
    virtual auth_verdict step(std::string_view data) = 0;
};

/// Shared by all shards: immutable.
class authenticator {
  public:
    virtual ~authenticator() = default;
    /// For a user name and password.
    virtual std::shared_ptr<auth_exchange> by_password(std::string_view user_name) const = 0;
    /// Enhanced authentication (v5 4.12); null when that method is not offered.
    virtual std::shared_ptr<auth_exchange> by_method(std::string_view method) const = 0;
};

/// An effect: take this step, then engine::on_auth_verdict.
struct auth_step {
    connection_handle connection;
    std::shared_ptr<auth_exchange> exchange;
    std::string data;
};

} // namespace fb::core
