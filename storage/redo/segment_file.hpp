// The files of a redo log: a few, each made once with its full length and used again and again, so that a commit
// overwrites blocks the file system knows already and a full disk cannot stop it. Tests put a disk of their own here.
//
// A directory is of one thread; its files may each be on another.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/error.hpp"

namespace fb::storage::redo {

class segment_file {
  public:
    virtual ~segment_file() = default;
    /// All of it, or an error: then any part may have been written.
    virtual status write(std::uint64_t offset, std::string_view bytes) = 0;
    /// What was written is on the disk. After an error nothing is known of what was written since the last sync, and
    /// another sync would not tell.
    virtual status sync() = 0;
    /// How many bytes there were: fewer than asked for at the end of the file.
    virtual result<std::size_t> read(std::uint64_t offset, std::span<char> into) = 0;
};

class segment_directory {
  public:
    virtual ~segment_directory() = default;
    virtual result<std::vector<std::string>> names() = 0;
    virtual result<std::unique_ptr<segment_file>> open(const std::string& name) = 0;
    /// Of `bytes` bytes, all of them reserved; the name is durable on return.
    virtual result<std::unique_ptr<segment_file>> create(const std::string& name, std::uint64_t bytes) = 0;
    /// Renames the directory for people to look at, and begins an empty one; gives the new name. No file may be open.
    virtual result<std::string> put_aside() = 0;
};

/// A folder, made when it is not there (0700).
result<std::unique_ptr<segment_directory>> open_segment_directory(const std::filesystem::path& folder);

} // namespace fb::storage::redo
