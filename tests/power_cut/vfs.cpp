#include "vfs.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace fb::cut {
namespace {

using kind = disk_operation::kind;

struct open_file {
    sqlite3_file base; // first: SQLite knows only this
    disk* where;
    int number;
    vfs::file_state* shared;
    bool sync_directory; // with the first sync, as Unix's does for what it may have created and must not be lost
};

open_file& of(sqlite3_file* file) { return *reinterpret_cast<open_file*>(file); }
const std::string& bytes_of(sqlite3_file* file) { return of(file).where->content().files.at(of(file).number); }

int close(sqlite3_file* file) {
    vfs::file_state& s = *of(file).shared;
    if (--s.connections == 0) s.regions.clear();
    return SQLITE_OK;
}

int read(sqlite3_file* file, void* to, int size, sqlite3_int64 offset) {
    const std::string& bytes = bytes_of(file);
    const std::size_t wanted = static_cast<std::size_t>(size), from = static_cast<std::size_t>(offset);
    const std::size_t there = from < bytes.size() ? std::min(wanted, bytes.size() - from) : 0;
    if (there > 0) std::memcpy(to, bytes.data() + from, there);
    std::memset(static_cast<char*>(to) + there, 0, wanted - there);
    return there == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

int write(sqlite3_file* file, const void* from, int size, sqlite3_int64 offset) {
    of(file).where->perform({kind::write, of(file).number, static_cast<std::size_t>(offset),
                             std::string(static_cast<const char*>(from), static_cast<std::size_t>(size))});
    return SQLITE_OK;
}

int truncate(sqlite3_file* file, sqlite3_int64 size) {
    of(file).where->perform({kind::truncate, of(file).number, static_cast<std::size_t>(size), {}});
    return SQLITE_OK;
}

int sync(sqlite3_file* file, int) {
    of(file).where->perform({kind::sync, of(file).number, 0, {}});
    if (std::exchange(of(file).sync_directory, false)) of(file).where->perform({kind::sync_directory, 0, 0, {}});
    return SQLITE_OK;
}

int file_size(sqlite3_file* file, sqlite3_int64* out) {
    *out = static_cast<sqlite3_int64>(bytes_of(file).size());
    return SQLITE_OK;
}

int lock(sqlite3_file* file, int level) {
    return level == SQLITE_LOCK_EXCLUSIVE && of(file).shared->connections > 1 ? SQLITE_BUSY : SQLITE_OK;
}
int unlock(sqlite3_file*, int) { return SQLITE_OK; }
int check_reserved_lock(sqlite3_file*, int* out) {
    *out = 0;
    return SQLITE_OK;
}
int file_control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
int sector_size(sqlite3_file*) { return vfs::promised_sector_bytes; }
int characteristics(sqlite3_file*) { return vfs::promised_characteristics; }

int shm_map(sqlite3_file* file, int region, int size, int extend, volatile void** out) {
    auto& regions = of(file).shared->regions;
    const auto at = static_cast<std::size_t>(region);
    while (extend != 0 && regions.size() <= at)
        regions.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
    *out = at < regions.size() ? regions[at].get() : nullptr;
    return SQLITE_OK;
}
int shm_lock(sqlite3_file*, int, int, int) { return SQLITE_OK; }
void shm_barrier(sqlite3_file*) {}
int shm_unmap(sqlite3_file*, int) { return SQLITE_OK; } // close() does

sqlite3_io_methods io_methods() {
    sqlite3_io_methods m{};
    m.iVersion = 2; // without mapped files
    m.xClose = close;
    m.xRead = read;
    m.xWrite = write;
    m.xTruncate = truncate;
    m.xSync = sync;
    m.xFileSize = file_size;
    m.xLock = lock;
    m.xUnlock = unlock;
    m.xCheckReservedLock = check_reserved_lock;
    m.xFileControl = file_control;
    m.xSectorSize = sector_size;
    m.xDeviceCharacteristics = characteristics;
    m.xShmMap = shm_map;
    m.xShmLock = shm_lock;
    m.xShmBarrier = shm_barrier;
    m.xShmUnmap = shm_unmap;
    return m;
}

} // namespace

vfs::vfs()
    : methods_(*sqlite3_vfs_find(nullptr)) { // random numbers, time and extensions are the system's
    methods_.iVersion = 2;
    methods_.szOsFile = sizeof(open_file);
    methods_.zName = "power cut";
    methods_.pNext = nullptr;
    methods_.pAppData = this;
    methods_.xOpen = open;
    methods_.xDelete = remove;
    methods_.xAccess = access;
    methods_.xFullPathname = full_name;
    sqlite3_vfs_register(&methods_, 1);
}

vfs::~vfs() { sqlite3_vfs_unregister(&methods_); }

int vfs::open(sqlite3_vfs* self, const char* name, sqlite3_file* file, int flags, int* out_flags) {
    static const sqlite3_io_methods methods = io_methods();
    disk& d = *static_cast<vfs*>(self->pAppData)->disk_;
    open_file& f = of(file);
    f.base.pMethods = nullptr;
    const std::string path = name == nullptr ? "" : name; // without a name: a temporary file
    const auto known = d.content().names.find(path);
    const bool is_new = path.empty() || known == d.content().names.end();
    // The program has made an empty file of the database already, by its own call.
    if (is_new && (flags & (SQLITE_OPEN_CREATE | SQLITE_OPEN_MAIN_DB)) == 0) return SQLITE_CANTOPEN;
    f.where = &d;
    f.number = is_new ? d.create(path) : known->second;
    f.shared = &static_cast<vfs*>(self->pAppData)->states_[{&d, f.number}];
    ++f.shared->connections;
    f.sync_directory = (flags & SQLITE_OPEN_CREATE) != 0 && (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
    f.base.pMethods = &methods;
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
}

int vfs::remove(sqlite3_vfs* self, const char* name, int sync_directory) {
    disk& d = *static_cast<vfs*>(self->pAppData)->disk_;
    const auto known = d.content().names.find(name);
    if (known == d.content().names.end()) return SQLITE_IOERR_DELETE_NOENT;
    d.perform({kind::remove, known->second, 0, name});
    if (sync_directory != 0) d.perform({kind::sync_directory, 0, 0, {}});
    return SQLITE_OK;
}

int vfs::access(sqlite3_vfs* self, const char* name, int flags, int* out) {
    const disk_image& image = static_cast<vfs*>(self->pAppData)->disk_->content();
    const auto known = image.names.find(name);
    const bool there = known != image.names.end();
    *out =
        there && (flags != SQLITE_ACCESS_EXISTS || !image.files.at(known->second).empty()); // as Unix's: not if empty
    return SQLITE_OK;
}

int vfs::full_name(sqlite3_vfs*, const char* name, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", name);
    return SQLITE_OK;
}

} // namespace fb::cut
