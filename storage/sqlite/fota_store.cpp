// fota.db: batches of operations in one transaction each, and how the file is opened.
#include "storage/fota_store.hpp"

#include "storage/open.hpp"
#include "storage/sqlite/fota_reader.hpp"
#include "storage/sqlite/fota_writes.hpp"
#include "storage/sqlite/integrity.hpp"
#include "storage/sqlite/migrate.hpp"
#include "storage/sqlite/query.hpp"

namespace fb::storage {

namespace sqlite {

namespace {

/// Such an error is not one operation's fault: the file is in trouble, and so is the whole batch.
bool is_the_files(error_kind kind) noexcept {
    return kind != error_kind::conflict && kind != error_kind::not_found && kind != error_kind::invalid;
}

class sqlite_fota_store final : public fota_store {
  public:
    explicit sqlite_fota_store(std::unique_ptr<connection> db)
        : db_(std::move(db)) {}

    std::vector<fota_outcome> apply(std::span<const fota_operation> operations) override {
        std::vector<fota_outcome> outcomes;
        outcomes.reserve(operations.size());
        if (auto committed = commit(operations, outcomes); !committed) {
            db_->rollback();
            outcomes.assign(operations.size(), committed.err());
        }
        return outcomes;
    }

    result<std::unique_ptr<fota_reader>> open_reader() override { return open_fota_reader(db_->file()); }
    std::uint64_t written_bytes() const noexcept override { return db_->written_bytes(); }

  private:
    status commit(std::span<const fota_operation> operations, std::vector<fota_outcome>& outcomes) {
        if (auto begun = run("BEGIN IMMEDIATE"); !begun) return begun;
        for (const fota_operation& operation : operations) {
            auto outcome = in_savepoint(operation);
            if (!outcome && is_the_files(outcome.err().kind)) return outcome.err();
            outcomes.push_back(std::move(outcome));
        }
        return run("COMMIT");
    }

    fota_outcome in_savepoint(const fota_operation& operation) {
        if (auto set = run("SAVEPOINT operation"); !set) return set.err();
        auto outcome = perform(*db_, operation);
        if (!outcome) {
            if (auto undone = run("ROLLBACK TO operation"); !undone) return lost(outcome.err());
        }
        if (auto released = run("RELEASE operation"); !released) return released.err();
        return outcome;
    }

    /// SQLite gave the whole transaction up on its own.
    static error lost(const error& cause) { return {error_kind::unavailable, cause.text}; }

    status run(std::string_view sql) { return query(*db_, sql).run(); }

    std::unique_ptr<connection> db_;
};

// Years of results would make the start slow; `fotabroker db check` looks at all of it.
constexpr std::uintmax_t checked_at_open_max = 64 << 20;

status check_if_small(connection& db) {
    std::error_code ec;
    const auto size = std::filesystem::file_size(db.file(), ec);
    return !ec && size <= checked_at_open_max ? quick_check(db, "1") : status(done{});
}

/// New ids must sort after those in the file, even if the clock was set back since.
status raise_floor_from(connection& db) {
    for (const char* sql :
         {"SELECT max(id) FROM updates WHERE state IS NOT NULL",
          "SELECT max(id) FROM firmwares WHERE state IS NOT NULL", "SELECT max(id) FROM update_events"}) {
        query q(db, sql);
        update_uuid highest;
        if (q.next()) q >> highest;
        if (auto ended = q.ended(); !ended) return ended;
        raise_uuid_floor(highest.bytes);
    }
    return done{};
}

} // namespace

} // namespace sqlite

result<std::unique_ptr<fota_store>> open_sqlite_fota_store(const std::filesystem::path& file) {
    auto db = sqlite::connection::open(file, {});
    if (!db) return db.err();
    if (auto configured = (*db)->configure_writer(); !configured) return configured.err();
    if (auto sound = sqlite::check_if_small(**db); !sound) return sound.err();
    if (auto migrated = sqlite::migrate(**db, sqlite::fota_migrations()); !migrated) return migrated.err();
    if (auto raised = sqlite::raise_floor_from(**db); !raised) return raised.err();
    return std::unique_ptr<fota_store>(std::make_unique<sqlite::sqlite_fota_store>(std::move(*db)));
}

} // namespace fb::storage
