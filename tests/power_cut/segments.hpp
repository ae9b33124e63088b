// The redo log's files on a disk in memory (disk.hpp), and a store opened there as the product does: SQLite's part
// through vfs.hpp, which the disk must be in.
#pragma once

#include <filesystem>
#include <memory>

#include "disk.hpp"
#include "storage/redo/segment_file.hpp"
#include "storage/session_store.hpp"

namespace fb::cut {

std::unique_ptr<storage::redo::segment_directory> segments_on(disk& d, const std::filesystem::path& folder);

inline std::filesystem::path redo_folder(const std::filesystem::path& database) {
    return database.parent_path() / "redo";
}

/// Recovered. An error also when something was put aside.
storage::result<std::unique_ptr<storage::session_store>> open_store(disk& d, const std::filesystem::path& database);

} // namespace fb::cut
