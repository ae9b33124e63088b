// What belongs into a backup, and from where: both databases, firmware files, certificates and keys, the configuration.
// Throws backup::failure, or std::runtime_error with words for people.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "broker/app/config.hpp"

namespace fb::app {

struct backup_request {
    config c;
    std::optional<std::filesystem::path> config_file;
    std::filesystem::path file; // must not exist
    std::optional<std::string> passphrase;
    bool with_database = false; // PostgreSQL's content, too
};

struct backup_made {
    std::size_t members = 0;
    std::uint64_t member_bytes = 0;
    std::uint64_t file_bytes = 0;
    std::string note; // what is not in it, and how to save that; empty: everything is
};

/// While the broker serves, or without one.
backup_made make_backup(const backup_request& r,
                        const std::function<void(std::string_view what, std::uint64_t done, std::uint64_t all)>& told);

} // namespace fb::app
