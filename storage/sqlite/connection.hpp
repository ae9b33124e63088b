// One SQLite connection with its prepared statements; the one place where SQLite's errors become ours.
// Lives on one thread at a time. Statements are prepared at first use and kept until the connection goes.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "storage/error.hpp"

namespace fb::storage::sqlite {

struct connection_options {
    std::chrono::milliseconds busy_timeout{5000};
    std::chrono::milliseconds time_limit{0}; // of one query; 0: none
    bool query_only = false;                 // then the file must exist
};

class connection {
  public:
    /// Creates the file, 0600, unless `query_only`.
    static result<std::unique_ptr<connection>> open(const std::filesystem::path& file, connection_options options);
    ~connection();
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    /// One or more statements without parameters; not kept.
    status exec(const char* script);
    /// Write-ahead log, a sync with every commit, foreign keys.
    status configure_writer();
    /// Rolls back if a transaction is open.
    void rollback() noexcept;
    std::int64_t changes() const noexcept { return sqlite3_changes64(handle_); }
    /// By configure_writer()'s connection: to the write-ahead log and from there to the database. Any thread.
    std::uint64_t written_bytes() const noexcept { return written_bytes_.load(std::memory_order_relaxed); }
    bool in_transaction() const noexcept { return sqlite3_get_autocommit(handle_) == 0; }
    const std::filesystem::path& file() const noexcept { return file_; }

    /// Copies `from` to this database, which must be empty; null: last_error() tells.
    sqlite3_backup* backup_from(connection& from) noexcept {
        return sqlite3_backup_init(handle_, "main", from.handle_, "main");
    }

    /// SQLite's last error on this connection as ours.
    error last_error(int code) const;

  private:
    friend class query;
    explicit connection(std::filesystem::path file)
        : file_(std::move(file)) {}
    result<sqlite3_stmt*> prepared(std::string_view sql);
    static int out_of_time(void* self) noexcept;
    static int committed(void* self, sqlite3* handle, const char* database, int log_pages) noexcept;

    std::filesystem::path file_;
    sqlite3* handle_ = nullptr;
    std::map<std::string, sqlite3_stmt*, std::less<>> statements_;
    std::chrono::milliseconds time_limit_{0};
    std::chrono::steady_clock::time_point deadline_{};
    int log_pages_ = 0;       // of the write-ahead log, after the last commit
    int log_pages_moved_ = 0; // of them, to the database
    std::atomic<std::uint64_t> written_bytes_{0};
};

} // namespace fb::storage::sqlite
