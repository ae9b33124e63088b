// A disk in memory, and what a power cut leaves of it. No SQLite here: vfs.hpp puts it under SQLite.
//
// Every change is an operation in one log. What was written to a file before a sync of that file is on the disk; of
// what came later anything may be there, and the last write may be torn between sectors. Names (created, removed)
// become durable with a sync of the directory; of those since then a cut keeps the first few, as a file system's
// journal does.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace fb::cut {

inline constexpr std::size_t sector_bytes = 512;

struct disk_operation {
    enum class kind : std::uint8_t { create, remove, sync_directory, write, truncate, sync };
    kind what{};
    int file = 0;
    std::size_t offset = 0; // of a write; the new size after truncate
    std::string data;       // what is written; the name of what is created or removed
};
using disk_log = std::vector<disk_operation>;

struct disk_image {
    std::map<std::string, int> names;
    std::map<int, std::string> files; // a file is here as long as it may be open, with a name or without

    void apply(const disk_operation& op);
};

/// A disk in use: its content as programs see it, and how it came to it.
class disk {
  public:
    explicit disk(disk_image begin = {});
    void perform(disk_operation op);
    int create(const std::string& name); // the file's number
    const disk_image& content() const { return content_; }
    const disk_log& log() const { return log_; }

  private:
    disk_image content_;
    disk_log log_;
    int next_file_ = 1;
};

/// The disk after a power cut, for cuts in rising order. Refers to the log.
class power_cut {
  public:
    /// Says of a file's name, "" for the directory, that its syncs do nothing.
    using lies_function = std::function<bool(const std::string& name)>;

    explicit power_cut(const disk_log& log, disk_image begin = {}, lies_function lies = {});
    /// Power is lost after the first `k` operations. What is left of those without a sync depends on `seed`: nothing,
    /// everything, some of them, or some of them with the last one torn.
    disk_image after(std::size_t k, std::uint64_t seed);

  private:
    void pass(std::size_t at);
    bool lies(int file) const;
    std::vector<std::size_t> unsynced() const;

    const disk_log& log_;
    disk_image durable_;
    lies_function lies_;
    std::size_t passed_ = 0;
    std::map<int, std::string> name_of_;
    std::map<int, std::vector<std::size_t>> unsynced_; // per file, where in the log
    std::vector<std::size_t> unsynced_names_;
};

} // namespace fb::cut
