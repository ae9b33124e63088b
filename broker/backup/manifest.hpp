// What a backup says about itself: backup.json, its first member, and manifest.json at its end, with the length and
// SHA-256 of all members before it. manifest.sha256 has the SHA-256 of manifest.json, as sha256sum writes it.
// Pure; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fb::backup {

inline constexpr int format_version = 1;
inline constexpr std::string_view description_name = "backup.json";
inline constexpr std::string_view manifest_name = "manifest.json";
inline constexpr std::string_view manifest_hash_name = "manifest.sha256";
inline constexpr std::string_view data_prefix = "data/"; // members with it belong into the data directory

struct description {
    std::string program_version;
    std::string created_at;
    std::string data_dir;
    std::string engine = "sqlite";                            // of FOTA's database
    std::string database;                                     // where it is, when it is not in the backup
    std::string note;                                         // how to save it then
    std::vector<std::pair<std::string, std::string>> outside; // members from elsewhere, and their paths
};

struct member {
    std::string name;
    std::uint64_t size = 0;
    std::string sha256;
    bool operator==(const member&) const = default;
};

std::string to_json(const description& d);
std::string to_json(const std::vector<member>& members);
/// Throw failure (unusable): not a backup, or one of a newer format.
description parse_description(const std::string& text);
std::vector<member> parse_members(const std::string& text);

/// A relative path that stays below where it is put, of printable parts none of which is "." or "..".
bool safe_name(std::string_view name);

} // namespace fb::backup
