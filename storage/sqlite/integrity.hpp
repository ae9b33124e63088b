// Is the file what SQLite made of it? Reads all that it is asked about: about a second for a gigabyte.
#pragma once

#include <string>

#include "storage/sqlite/connection.hpp"

namespace fb::storage::sqlite {

/// `what`: a table, or how many errors to look for in all of them. corrupt: names the file and the first fault.
status quick_check(connection& db, const std::string& what);

} // namespace fb::storage::sqlite
