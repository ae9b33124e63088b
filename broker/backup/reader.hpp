// A backup being read: whether it is one, whether it is encrypted, and its members into a folder, every byte compared
// with the manifest. Nothing is believed: names, kinds and lengths are looked at before anything is created.
// One thread. Throws failure.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/backup/archive.hpp"
#include "broker/backup/disk.hpp"
#include "broker/backup/manifest.hpp"
#include "certs/sealed_stream.hpp"

namespace fb::backup {

class backup_reader {
  public:
    /// Asked for the passphrase of an encrypted file only.
    using ask = std::function<std::string()>;
    /// Told the bytes of the file read so far.
    using progress = std::function<void(std::uint64_t)>;
    backup_reader(const std::filesystem::path& file, const ask& passphrase, progress told);
    backup_reader(const backup_reader&) = delete;
    backup_reader& operator=(const backup_reader&) = delete;

    const description& about() const noexcept { return about_; }
    bool encrypted() const noexcept { return unsealer_.has_value(); }
    std::uint64_t file_bytes() const noexcept { return file_bytes_; }

    /// All members into `folder`, an empty one, as files of mode 0600. Gives them when all fits the manifest.
    std::vector<member> extract_to(const std::filesystem::path& folder);

  private:
    std::size_t read_file(std::span<char> into);
    void begin_unsealing(const std::string& passphrase);
    std::string_view next_part();
    std::string text_of(const archive_reader::member& m);
    void extract(const archive_reader::member& m, const std::filesystem::path& folder);
    void verify(std::vector<member>& members, const std::string& manifest, const std::string& hash_line) const;

    std::filesystem::path file_;
    progress told_;
    descriptor fd_;
    std::uint64_t file_bytes_ = 0;
    std::uint64_t read_bytes_ = 0;
    std::optional<certs::unsealer> unsealer_;
    std::string part_; // what archive_ works on
    std::unique_ptr<archive_reader> archive_;
    description about_;
    std::map<std::string, member> seen_; // with their hashes as read
};

} // namespace fb::backup
