// Queries on fota.db over a connection of their own, which cannot write and gives up after a time limit.
// One thread each.
#pragma once

#include <filesystem>
#include <memory>

#include "storage/fota_store.hpp"

namespace fb::storage::sqlite {

result<std::unique_ptr<fota_reader>> open_fota_reader(const std::filesystem::path& file);

} // namespace fb::storage::sqlite
