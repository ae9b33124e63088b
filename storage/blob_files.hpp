// Firmware bytes on disk: one immutable file per content, named by its SHA-256, below <data>/blobs.
// A blob becomes visible only whole: written to a temporary name, synced, renamed, directory synced.
// No thread of its own; calls block on the disk and belong on a pool or HTTP thread, never on a shard.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "storage/error.hpp"

namespace fb::storage {

/// A blob being written. Destroying it without commit() removes the temporary file.
class blob_writer {
  public:
    blob_writer(blob_writer&& other) noexcept;
    blob_writer& operator=(blob_writer&&) = delete;
    ~blob_writer();

    /// unavailable: disk full or failing; names the file.
    status write(std::string_view bytes);
    std::int64_t size() const noexcept { return size_; }
    /// Syncs and renames to `sha256_hex`. An existing blob of that name is kept (same content).
    status commit(const std::string& sha256_hex);

  private:
    friend class blob_files;
    blob_writer(std::filesystem::path directory, std::filesystem::path temporary, int fd);

    std::filesystem::path directory_;
    std::filesystem::path temporary_;
    int fd_ = -1;
    std::int64_t size_ = 0;
};

/// An open blob, readable at any offset from any thread.
class blob_reader {
  public:
    blob_reader(blob_reader&& other) noexcept;
    blob_reader& operator=(blob_reader&&) = delete;
    ~blob_reader();

    std::int64_t size() const noexcept { return size_; }
    /// Fills `out` from `offset`; returns the bytes read, fewer only at the end.
    result<std::size_t> read(std::int64_t offset, std::span<char> out) const;

  private:
    friend class blob_files;
    blob_reader(int fd, std::int64_t size)
        : fd_(fd)
        , size_(size) {}

    int fd_ = -1;
    std::int64_t size_ = 0;
};

/// While one lives no blob is removed, in no process: a backup reads rows first and blobs later.
class blob_hold {
  public:
    /// Waits while blobs are being removed, which is short.
    static result<blob_hold> of(const std::filesystem::path& directory);
    blob_hold(blob_hold&& other) noexcept;
    blob_hold& operator=(blob_hold&&) = delete;
    ~blob_hold();

  private:
    friend class blob_files;
    explicit blob_hold(int fd)
        : fd_(fd) {}
    int fd_;
};

/// "sha256:<name>" as the name of its blob; other texts are left out.
std::vector<std::string> blob_names_of(const std::vector<std::string>& checksums);

class blob_files {
  public:
    /// Creates the directory (0700) and removes temporary files that a crash left behind.
    static result<blob_files> open(const std::filesystem::path& directory);
    /// For who only reads, while another process may be writing: changes nothing. not_found: no such directory.
    static result<blob_files> present(const std::filesystem::path& directory);

    result<blob_writer> create() const;
    /// not_found: no such blob. `sha256_hex` is 64 lower-case hex digits, anything else is invalid.
    result<blob_reader> open_blob(const std::string& sha256_hex) const;
    bool exists(const std::string& sha256_hex) const;
    /// No blob goes while it lives.
    result<blob_hold> hold() const { return blob_hold::of(directory_); }
    /// The names of all blobs, in order.
    result<std::vector<std::string>> names() const;

    struct removed {
        std::size_t files = 0;
        std::int64_t bytes = 0;
        bool held = false; // nothing was looked at: somebody holds the blobs
    };
    /// Those of `candidates` that are not among the names that `needed` gives. It is asked when nobody holds them, so
    /// that what is being stored now is either there or waits; when it fails nothing is removed.
    result<removed> remove_unneeded(const std::vector<std::string>& candidates,
                                    const std::function<result<std::vector<std::string>>()>& needed) const;
    /// Blobs, and what uploads left behind, that nobody has written to since `before` (by the clock of the machine).
    result<std::vector<std::string>> untouched_since(std::chrono::system_clock::time_point before) const;
    std::filesystem::path path_of(const std::string& sha256_hex) const;
    /// Bytes free for us on the file system.
    std::int64_t bytes_free() const;

  private:
    explicit blob_files(std::filesystem::path directory)
        : directory_(std::move(directory)) {}
    std::filesystem::path directory_;
};

} // namespace fb::storage
