// core::authenticator over a password file: user name and password in CONNECT, or SCRAM-SHA-256 as enhanced
// authentication. Constant; any thread.
#pragma once

#include <functional>

#include "broker/auth/password_file.hpp"
#include "broker/core/authentication.hpp"

namespace fb::auth {

inline constexpr std::string_view scram_method = "SCRAM-SHA-256";

class file_authenticator final : public core::authenticator, public std::enable_shared_from_this<file_authenticator> {
  public:
    /// `names_device`: is this user name a device's id? Empty: no user is a device.
    file_authenticator(password_file users, std::function<bool(std::string_view)> names_device);

    std::shared_ptr<core::auth_exchange> by_password(std::string_view user_name) const override;
    std::shared_ptr<core::auth_exchange> by_method(std::string_view method) const override;

    const password_file& users() const noexcept { return users_; }
    core::auth_verdict accept(const std::string& user, std::string data) const;
    /// Never matches; as slow to check as what users have.
    const stored_password& decoy() const noexcept { return decoy_; }
    const std::string& decoy_key() const noexcept { return decoy_key_; }

  private:
    password_file users_;
    std::function<bool(std::string_view)> names_device_;
    std::string decoy_key_;
    stored_password decoy_;
};

} // namespace fb::auth
