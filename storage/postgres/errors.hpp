// PostgreSQL's errors as ours: five letters of SQLSTATE and a message become a kind to act on and words for people.
// Pure; any thread. No text made here can hold a password: libpq's messages name host, database and role only.
#pragma once

#include <string>
#include <string_view>

#include "storage/error.hpp"

namespace fb::storage::postgres {

/// `where` is the database in words, `message` the server's or libpq's.
error error_of(std::string_view sqlstate, std::string_view message, const std::string& where);
/// For a connection that did not come about. The five letters are within libpq's verbose message.
error connect_error_of(std::string_view message, const std::string& where);

/// A value or constraint of one operation; its neighbours are not concerned.
bool concerns_one_operation(std::string_view sqlstate) noexcept;
/// Two transactions were in each other's way: the same again will do.
bool will_pass(std::string_view sqlstate) noexcept;
/// The server ends the connection with this.
bool ends_connection(std::string_view sqlstate) noexcept;

} // namespace fb::storage::postgres
