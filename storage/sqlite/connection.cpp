#include "storage/sqlite/connection.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "storage/disk_trouble.hpp"

namespace fb::storage::sqlite {

namespace {

constexpr int progress_steps = 20'000; // virtual machine instructions between two looks at the clock
constexpr std::chrono::seconds wal_patience{2};
constexpr int log_pages_max = 1000; // as SQLite's own default
constexpr std::uint64_t page_bytes = 4096;

error_kind kind_of(int extended) noexcept {
    switch (extended & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_INTERRUPT: return error_kind::busy;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return error_kind::corrupt;
    case SQLITE_CONSTRAINT:
        if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY)
            return error_kind::conflict;
        return error_kind::invalid;
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_RANGE: return error_kind::invalid;
    case SQLITE_ERROR: // our statements are fixed: one that SQLite does not understand meets other tables
    case SQLITE_SCHEMA: return error_kind::schema;
    default: return error_kind::unavailable;
    }
}

const char* advice(error_kind kind) noexcept {
    switch (kind) {
    case error_kind::busy: return "another process holds it; try again";
    case error_kind::unavailable: return "check free space, permissions and the disk";
    case error_kind::corrupt: return "restore it from a backup, or move it away to begin afresh";
    case error_kind::schema: return "the tables are not this program's";
    default: return nullptr;
    }
}

/// Of the file that failed. SQLite has it for statements, but not when it is the commit that fails.
int last_errno(sqlite3* handle) noexcept {
    int code = sqlite3_system_errno(handle);
    sqlite3_file* log = nullptr;
    sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    if (code == 0 && log != nullptr && log->pMethods != nullptr)
        log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &code);
    if (code == 0) sqlite3_file_control(handle, "main", SQLITE_FCNTL_LAST_ERRNO, &code);
    return code;
}

/// Where SQLite's words leave open what is wrong with the disk; 0: nothing, or nobody knows.
int disk_error_of(sqlite3* handle, int code) noexcept {
    switch (code & 0xff) {
    case SQLITE_FULL: return ENOSPC;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN: return handle != nullptr ? last_errno(handle) : 0;
    default: return 0;
    }
}

status create_private(const std::filesystem::path& file) {
    // SQLite gives its -wal and -shm files the permissions of the main file.
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 && errno != EACCES && errno != EROFS) {
        return error{error_kind::unavailable, "cannot create " + file.string() + ": " + words_of_disk_error(errno)};
    }
    if (fd >= 0) ::close(fd);
    return done{}; // what may not be written may still be read: SQLite tells
}

} // namespace

error connection::last_error(int code) const {
    const int extended = handle_ != nullptr ? sqlite3_extended_errcode(handle_) : code;
    const error_kind kind = kind_of((extended & 0xff) == (code & 0xff) ? extended : code);
    std::string text = file_.string() + ": " + (handle_ != nullptr ? sqlite3_errmsg(handle_) : sqlite3_errstr(code));
    if (const int disk = disk_error_of(handle_, code); disk != 0)
        text += ": " + words_of_disk_error(disk);
    else if (const char* what_to_do = advice(kind))
        text += std::string(" (") + what_to_do + ")";
    return {kind, std::move(text)};
}

result<std::unique_ptr<connection>> connection::open(const std::filesystem::path& file, connection_options options) {
    if (!options.query_only) {
        if (auto created = create_private(file); !created) return created.err();
    }
    std::unique_ptr<connection> self(new connection(file));
    const int code =
        sqlite3_open_v2(file.c_str(), &self->handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    if (code != SQLITE_OK) return self->last_error(code);
    sqlite3_extended_result_codes(self->handle_, 1);
    sqlite3_busy_timeout(self->handle_, int(options.busy_timeout.count()));
    self->time_limit_ = options.time_limit;
    if (options.time_limit.count() > 0) {
        sqlite3_progress_handler(self->handle_, progress_steps, &connection::out_of_time, self.get());
    }
    if (options.query_only) {
        if (auto set = self->exec("PRAGMA query_only = ON"); !set) return set.err();
    }
    return self;
}

connection::~connection() {
    for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
    sqlite3_close(handle_);
}

status connection::exec(const char* script) {
    const int code = sqlite3_exec(handle_, script, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return last_error(code);
    return done{};
}

status connection::configure_writer() {
    // Two processes that both make a new file a WAL one meet in a lock that the busy time-out does not cover.
    status wal = exec("PRAGMA journal_mode = WAL");
    const auto end = std::chrono::steady_clock::now() + wal_patience;
    while (!wal && wal.err().kind == error_kind::busy && std::chrono::steady_clock::now() < end) {
        sqlite3_sleep(20);
        wal = exec("PRAGMA journal_mode = WAL");
    }
    if (!wal) return wal;
    sqlite3_wal_hook(handle_, &connection::committed, this);
    return exec("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864");
}

void connection::rollback() noexcept {
    if (in_transaction()) sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
}

result<sqlite3_stmt*> connection::prepared(std::string_view sql) {
    if (const auto known = statements_.find(sql); known != statements_.end()) return known->second;
    sqlite3_stmt* statement = nullptr;
    const int code =
        sqlite3_prepare_v3(handle_, sql.data(), int(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
    if (code != SQLITE_OK) return last_error(code);
    statements_.emplace(sql, statement);
    return statement;
}

int connection::out_of_time(void* self) noexcept {
    return std::chrono::steady_clock::now() > static_cast<connection*>(self)->deadline_;
}

/// After each commit, in the place of SQLite's automatic checkpoint: does that, and counts.
int connection::committed(void* self, sqlite3* handle, const char* database, int log_pages) noexcept {
    connection& c = *static_cast<connection*>(self);
    const int before = std::exchange(c.log_pages_, log_pages);
    const bool anew = log_pages < before;
    int written = anew ? log_pages : log_pages - before;
    if (anew) c.log_pages_moved_ = 0;
    if (log_pages >= log_pages_max) {
        int moved = 0;
        if (sqlite3_wal_checkpoint_v2(handle, database, SQLITE_CHECKPOINT_PASSIVE, nullptr, &moved) == SQLITE_OK &&
            moved > c.log_pages_moved_)
            written += moved - std::exchange(c.log_pages_moved_, moved);
    }
    c.written_bytes_.fetch_add(static_cast<std::uint64_t>(written) * page_bytes, std::memory_order_relaxed);
    return SQLITE_OK; // a checkpoint that failed is tried again after the next commit; the log has it all
}

} // namespace fb::storage::sqlite
