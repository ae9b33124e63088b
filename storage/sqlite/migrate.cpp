#include "storage/sqlite/migrate.hpp"

#include <chrono>

#include "storage/sqlite/query.hpp"

namespace fb::storage::sqlite {

namespace {

timestamp wall_clock_now() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

status run_one(connection& db, const migration& step) {
    if (auto begun = db.exec("BEGIN IMMEDIATE"); !begun) return begun;
    const auto version = version_of(db); // again: another process may have been faster
    if (!version) return version.err();
    if (*version >= step.version) return db.exec("COMMIT");
    auto numbered = db.exec("CREATE TABLE IF NOT EXISTS schema_migrations "
                            "(version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL)");
    if (!numbered) return numbered;
    if (auto ran = db.exec(step.script); !ran) {
        return error{ran.err().kind, "migration " + std::to_string(step.version) + " (" + step.name +
                                         ") failed, the file is as before: " + ran.err().text};
    }
    {
        query note(db, "INSERT INTO schema_migrations (version, name, applied_at) VALUES (?, ?, ?)");
        if (auto noted = note.with(step.version, std::string_view(step.name), wall_clock_now()).run(); !noted)
            return noted;
    }
    return db.exec("COMMIT");
}

} // namespace

result<int> version_of(connection& db) {
    query tables(db, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'");
    const bool numbered = tables.next();
    if (auto ended = tables.ended(); !ended) return ended.err();
    if (!numbered) return 0;
    query highest(db, "SELECT coalesce(max(version), 0) FROM schema_migrations");
    int version = 0;
    if (highest.next()) highest >> version;
    if (auto ended = highest.ended(); !ended) return ended.err();
    return version;
}

status migrate(connection& db, std::span<const migration> migrations) {
    const auto version = version_of(db);
    if (!version) return version.err();
    const int ours = migrations.empty() ? 0 : migrations.back().version;
    if (*version > ours) {
        return error{error_kind::schema, db.file().string() + " has schema version " + std::to_string(*version) +
                                             ", this program knows " + std::to_string(ours) +
                                             ": start the newer program again, or restore the backup made before it"};
    }
    for (const migration& step : migrations) {
        if (step.version <= *version) continue;
        if (auto ran = run_one(db, step); !ran) {
            db.rollback();
            return ran;
        }
    }
    return done{};
}

} // namespace fb::storage::sqlite
