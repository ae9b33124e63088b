// A backup being written: a tar.zst, encrypted when there is a passphrase, under a temporary name until it is whole and
// on the disk. Members go in one after the other; the manifest is made meanwhile.
// One thread. Throws failure.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/backup/archive.hpp"
#include "broker/backup/manifest.hpp"
#include "certs/digest.hpp"
#include "certs/sealed_stream.hpp"

namespace fb::backup {

class backup_writer {
  public:
    /// Told the bytes of members written so far.
    using progress = std::function<void(std::uint64_t)>;
    /// `file` must not exist. `created_at`: seconds since 1970.
    backup_writer(std::filesystem::path file, const std::optional<std::string>& passphrase, const description& d,
                  std::int64_t created_at, progress told);
    ~backup_writer(); // without finish() nothing is left
    backup_writer(const backup_writer&) = delete;
    backup_writer& operator=(const backup_writer&) = delete;

    void add_text(const std::string& name, std::string_view content);
    /// A regular file, as long as it is now.
    void add_file(const std::string& name, const std::filesystem::path& file);
    /// Read from its beginning.
    void add_descriptor(const std::string& name, int fd);
    /// Manifest, sync, rename.
    void finish();

    const std::vector<member>& members() const noexcept { return members_; }
    std::uint64_t file_bytes() const noexcept { return file_bytes_; }

  private:
    void begin(const std::string& name, std::uint64_t size);
    void put(std::string_view bytes);
    void end();
    void write_out(std::string_view bytes);

    std::filesystem::path file_, temporary_;
    progress told_;
    int fd_ = -1;
    std::uint64_t file_bytes_ = 0;
    std::uint64_t member_bytes_ = 0; // of all
    std::optional<certs::sealer> sealer_;
    std::unique_ptr<archive_writer> archive_;
    std::vector<member> members_;
    std::uint64_t left_ = 0; // of the member in hand
    std::optional<certs::digest> hash_;
};

} // namespace fb::backup
