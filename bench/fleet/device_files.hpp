// A device's flash, as files in one directory:
//   installed.bin    the image that runs           version      the version it calls itself
//   slot_b.part      an image being downloaded     slot_b.bin   one that is complete and whose checksum was right
//   state.json       what the device remembers (device_record)
//
// Every file but the part is replaced atomically (temporary name, fsync, rename, fsync of the directory), so a power
// cut leaves the old one or the new one. Images are streamed, never held in memory.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "bench/fleet/device.hpp"
#include "bench/fleet/tls_client.hpp"

namespace fb::fleet {

/// SHA-256 as it is being computed.
class sha256_stream {
  public:
    sha256_stream();
    void restart();
    void add(std::string_view bytes);
    /// Lower-case hex. REQUIRES: restart() before the next add().
    std::string hex();

  private:
    std::unique_ptr<EVP_MD_CTX, openssl_deleter<EVP_MD_CTX_free>> context_;
};

/// Errors of the file system are std::filesystem::filesystem_error: a simulated device without a disk ends.
class device_files {
  public:
    explicit device_files(std::filesystem::path directory);
    ~device_files();
    device_files(const device_files&) = delete;
    device_files& operator=(const device_files&) = delete;

    /// A device that never ran before gets `initial`.
    std::string installed_version(const std::string& initial);
    device_record load_record() const;
    void save_record(const device_record& record);

    /// Opens the part and hashes what it already holds; returns its size. Called again, it starts over from the file.
    std::uint64_t open_part();
    void append(std::string_view bytes);
    void truncate_part();
    std::uint64_t part_bytes() const { return part_bytes_; }
    /// Syncs and closes the part; true, and the part has become slot_b.bin, when its SHA-256 is `sha256`.
    bool seal_part(const std::string& sha256);

    /// Copies slot_b.bin over installed.bin, hashing once more on the way. False when it is not the image of `sha256`.
    bool install(const std::string& sha256, const std::string& version);

  private:
    void replace(const std::string& name, std::string_view content);
    void sync_directory() const;
    void close_part();

    std::filesystem::path directory_;
    int part_ = -1;
    std::uint64_t part_bytes_ = 0;
    sha256_stream part_hash_;
};

std::string to_json(const device_record& record);
/// An unreadable record is an empty one: the device starts idle and hears the open command again.
device_record parse_record(std::string_view json);

} // namespace fb::fleet
