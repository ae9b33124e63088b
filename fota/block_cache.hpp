// Blocks of firmware images in memory, shared by all transfers: devices that fetch the same image read the disk once.
// Least recently used blocks go first. Lives on the FOTA thread; at most `bytes_max` plus one block and a few open
// files.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>

#include "storage/blob_files.hpp"

namespace fb::fota {

class block_cache {
  public:
    static constexpr std::size_t block_bytes = 64 * 1024;

    block_cache(storage::blob_files blobs, std::size_t bytes_max);

    /// Bytes [offset, offset + length) of a blob, cut at its end. The error is storage's: not_found, unavailable...
    storage::result<std::string> read(const std::string& sha256_hex, std::uint64_t offset, std::size_t length);

    bool has(const std::string& sha256_hex) const { return blobs_.exists(sha256_hex); }
    std::size_t bytes() const noexcept { return bytes_; }
    std::uint64_t disk_reads() const noexcept { return disk_reads_; }

  private:
    struct block {
        std::string sha256;
        std::uint64_t number = 0;
        std::string data;
    };
    struct open_file {
        std::string sha256;
        storage::blob_reader reader;
    };
    storage::result<const std::string*> block_at(const std::string& sha256, std::uint64_t number);
    storage::result<const storage::blob_reader*> file_of(const std::string& sha256);
    void keep(block b);

    storage::blob_files blobs_;
    const std::size_t bytes_max_;
    std::list<block> recent_; // newest first
    std::map<std::pair<std::string, std::uint64_t>, std::list<block>::iterator> index_;
    std::list<open_file> files_; // newest first
    std::size_t bytes_ = 0;
    std::uint64_t disk_reads_ = 0;
};

} // namespace fb::fota
