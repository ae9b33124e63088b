// fota.db as rows of texts: storage/raw_tables.hpp.
#pragma once

#include <filesystem>
#include <memory>

#include "storage/raw_tables.hpp"

namespace fb::storage::sqlite {

/// The file must exist; it is not migrated.
result<std::unique_ptr<raw_tables>> open_raw_tables(const std::filesystem::path& file);

} // namespace fb::storage::sqlite
