#include "storage/sqlite/online_copy.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "storage/disk_trouble.hpp"
#include "storage/sqlite/query.hpp"

namespace fb::storage::sqlite {

namespace {

constexpr int pages_per_step = 256; // 1 MiB: commits wait no longer than that takes

error failed(const char* doing, const std::filesystem::path& file) {
    return {error_kind::unavailable,
            std::string("cannot ") + doing + " " + file.string() + ": " + words_of_disk_error(errno)};
}

status create_new(const std::filesystem::path& file) {
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return failed("create", file);
    ::close(fd);
    return done{};
}

status sync_file(const std::filesystem::path& file) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return failed("open", file);
    const int code = ::fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    errno = code;
    if (code != 0) return failed("sync", file);
    return done{};
}

class sqlite_copy final : public online_copy {
  public:
    sqlite_copy(connection& from, std::unique_ptr<connection> own_source, std::unique_ptr<connection> to,
                sqlite3_backup* backup)
        : from_(from)
        , own_source_(std::move(own_source))
        , to_(std::move(to))
        , backup_(backup) {}
    ~sqlite_copy() override { sqlite3_backup_finish(backup_); }
    sqlite_copy(const sqlite_copy&) = delete;
    sqlite_copy& operator=(const sqlite_copy&) = delete;

    result<bool> step() override {
        const int code = sqlite3_backup_step(backup_, pages_per_step);
        const auto pages = [](int count) { return static_cast<std::uint64_t>(std::max(count, 0)); };
        const std::uint64_t page_bytes = page_size();
        bytes_all_ = pages(sqlite3_backup_pagecount(backup_)) * page_bytes;
        bytes_done_ = bytes_all_ - pages(sqlite3_backup_remaining(backup_)) * page_bytes;
        if (code == SQLITE_OK) return true;
        if (code != SQLITE_DONE) return to_->last_error(code);
        if (const int finished = sqlite3_backup_finish(std::exchange(backup_, nullptr)); finished != SQLITE_OK)
            return to_->last_error(finished);
        const auto file = to_->file();
        to_.reset();
        if (auto synced = sync_file(file); !synced) return synced.err();
        if (auto shrunk = from_.exec("PRAGMA shrink_memory"); !shrunk) return shrunk.err(); // it has read everything
        return false;
    }

    std::uint64_t bytes_done() const noexcept override { return bytes_done_; }
    std::uint64_t bytes_all() const noexcept override { return bytes_all_; }

  private:
    std::uint64_t page_size() {
        std::uint64_t bytes = 0;
        query q(*to_, "PRAGMA page_size");
        if (q.next()) q >> bytes;
        return bytes;
    }

    connection& from_;
    std::unique_ptr<connection> own_source_; // null: somebody else's
    std::unique_ptr<connection> to_;
    sqlite3_backup* backup_;
    std::uint64_t bytes_done_ = 0;
    std::uint64_t bytes_all_ = 0;
};

result<std::unique_ptr<online_copy>> begin_into(connection& from, std::unique_ptr<connection> own_source,
                                                const std::filesystem::path& file) {
    auto to = connection::open(file, {});
    if (!to) return to.err();
    // Half a copy is worth nothing, so nothing of it needs to survive: one sync, at its end.
    if (auto set = (*to)->exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF"); !set) return set.err();
    sqlite3_backup* const backup = (*to)->backup_from(from);
    if (backup == nullptr) return (*to)->last_error(SQLITE_ERROR);
    return std::unique_ptr<online_copy>(
        std::make_unique<sqlite_copy>(from, std::move(own_source), std::move(*to), backup));
}

result<std::unique_ptr<online_copy>> begin(connection& from, std::unique_ptr<connection> own_source,
                                           const std::filesystem::path& file) {
    if (auto created = create_new(file); !created) return created.err();
    auto begun = begin_into(from, std::move(own_source), file);
    if (!begun) ::unlink(file.c_str());
    return begun;
}

} // namespace

result<std::unique_ptr<online_copy>> begin_copy(connection& from, const std::filesystem::path& file) {
    return begin(from, nullptr, file);
}

result<std::unique_ptr<online_copy>> copy_of_now(const std::filesystem::path& from, const std::filesystem::path& file) {
    connection_options reading;
    reading.query_only = true;
    auto source = connection::open(from, reading);
    if (!source) return source.err();
    // A transaction that has read: what others commit from now on is not seen, and does not make the copy begin anew.
    if (auto begun = (*source)->exec("BEGIN; SELECT count(*) FROM sqlite_schema"); !begun) return begun.err();
    connection& its_source = **source;
    return begin(its_source, std::move(*source), file);
}

} // namespace fb::storage::sqlite
