// Copies of SQLite databases by its backup interface: storage/online_copy.hpp.
#pragma once

#include <filesystem>
#include <memory>

#include "storage/online_copy.hpp"
#include "storage/sqlite/connection.hpp"

namespace fb::storage::sqlite {

/// What `from` commits while the copy is made is in it, too. No step while `from` is within a transaction. `file` must
/// not exist; it is made 0600. `from` must outlive the copy.
result<std::unique_ptr<online_copy>> begin_copy(connection& from, const std::filesystem::path& file);

/// Of a file that this and other processes may be writing: all of it as it is at this moment.
result<std::unique_ptr<online_copy>> copy_of_now(const std::filesystem::path& from, const std::filesystem::path& file);

} // namespace fb::storage::sqlite
