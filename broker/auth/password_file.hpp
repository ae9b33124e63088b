// The users of a password file: one "name:stored password" a line, as mosquitto_passwd and `fotabroker passwd` write
// it;
// '#' begins a comment line. Read once, constant afterwards; any thread.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "broker/auth/stored_password.hpp"

namespace fb::auth {

/// What a user may be called: 1-256 bytes of UTF-8 without ':' and control characters.
bool valid_user_name(std::string_view name) noexcept;

class password_file {
  public:
    password_file() = default;
    /// Throws std::runtime_error that names the file and every line that is wrong: a line that is half understood must
    /// not let anybody in (CVE-2018-12551).
    explicit password_file(const std::filesystem::path& file);
    static password_file parse(std::string_view text, const std::string& name);

    const stored_password* find(std::string_view user) const;
    std::size_t size() const noexcept { return users_.size(); }

    void set(const std::string& user, stored_password p) { users_.insert_or_assign(user, std::move(p)); }
    bool erase(std::string_view user);
    /// Replaces the file in one step (0600): a power cut leaves the old or the new one. Comments are not kept. Throws
    /// std::runtime_error.
    void save(const std::filesystem::path& file) const;

  private:
    std::map<std::string, stored_password, std::less<>> users_;
};

} // namespace fb::auth
