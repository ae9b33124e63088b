// SQLite's files on a disk in memory (disk.hpp). While one of these lives it is SQLite's default, so that the program's
// own code opens its databases there, by the same names.
//
// It promises SQLite what the file system of Unix does (sectors, power-safe overwrite) and syncs the directory when
// that one does. Shared memory goes with the last connection, and locks keep nobody out but who believes to be the last
// one: connections take turns, one thread at a time.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <utility>

#include "disk.hpp"

namespace fb::cut {

class vfs {
  public:
    /// What connections to one file share.
    struct file_state {
        int connections = 0;
        std::vector<std::unique_ptr<char[]>> regions;
    };

    vfs();
    ~vfs();
    vfs(const vfs&) = delete;
    vfs& operator=(const vfs&) = delete;

    /// What is opened from now on is there. The disk must outlive its open files.
    void insert(disk& d) { disk_ = &d; }

    static constexpr int promised_sector_bytes = 4096;
    static constexpr int promised_characteristics = SQLITE_IOCAP_POWERSAFE_OVERWRITE;

  private:
    static int open(sqlite3_vfs* self, const char* name, sqlite3_file* file, int flags, int* out_flags);
    static int remove(sqlite3_vfs* self, const char* name, int sync_directory);
    static int access(sqlite3_vfs* self, const char* name, int flags, int* out);
    static int full_name(sqlite3_vfs* self, const char* name, int size, char* out);

    sqlite3_vfs methods_;
    disk* disk_ = nullptr;
    std::map<std::pair<const disk*, int>, file_state> states_;
};

} // namespace fb::cut
