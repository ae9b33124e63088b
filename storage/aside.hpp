// What happens to something damaged: it is renamed <name>.corrupt-<time>, for people to look at, and a new one is
// begun.
#pragma once

#include <filesystem>

#include "storage/error.hpp"

namespace fb::storage {

std::filesystem::path aside_name(const std::filesystem::path& damaged);

/// Renames a SQLite file with its log; returns the new name. Nobody may have it open.
result<std::filesystem::path> put_database_aside(const std::filesystem::path& file);

} // namespace fb::storage
