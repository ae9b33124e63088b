// A backup into a data directory: everything is read, compared and opened in a folder of its own there first, and only
// then moved into place. While that folder exists no broker starts: half of it may have been moved.
// The caller holds the directory's lock. One thread. Throws failure.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/backup/reader.hpp"

namespace fb::backup {

inline constexpr const char* staging_folder = "restore.partial";
inline constexpr const char* outside_folder = "restored"; // what belongs elsewhere, for people to put there

struct restored {
    std::vector<member> members;
    std::optional<std::filesystem::path> put_aside;                     // where what was there is now
    std::vector<std::pair<std::filesystem::path, std::string>> outside; // and where each came from
};

/// Whether the directory holds anything but what an empty one may.
bool holds_data(const std::filesystem::path& data_dir);

/// `aside` names the folder in the data directory for what is there; without it that must be nothing.
restored restore(backup_reader& from, const std::filesystem::path& data_dir, const std::optional<std::string>& aside);

} // namespace fb::backup
