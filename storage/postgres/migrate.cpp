#include "storage/postgres/migrate.hpp"

namespace fb::storage::postgres {

namespace {

// A new column may have to be written into every row of a large table.
constexpr std::chrono::hours migration_max{1};

// One opener at a time in this schema; the lock ends with the transaction. The key is this program's own.
constexpr const char* take_turn = "SELECT pg_advisory_xact_lock(1178747234, hashtext(current_setting('search_path')))";

// store_writers is this engine's own: which batch of which writer was committed last (fota_store.cpp). No reference
// points at it, and no other program needs it.
constexpr const char* bookkeeping =
    "CREATE TABLE IF NOT EXISTS schema_migrations "
    "(version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL); "
    "CREATE TABLE IF NOT EXISTS store_writers "
    "(id uuid PRIMARY KEY, batches bigint NOT NULL, seen_at timestamptz NOT NULL)";

error newer(const connection& db, const std::string& schema, int theirs, int ours) {
    return {error_kind::schema, db.name() + ", schema " + schema + ", has schema version " + std::to_string(theirs) +
                                    ", this program knows " + std::to_string(ours) +
                                    ": start the newer program again, or restore the backup made before it"};
}

status run_script(connection& db, const std::string& text) {
    if (auto failed = db.script(text, migration_max)) return failed->why;
    return done{};
}

status make_schema(connection& db, const std::string& schema) {
    auto present = db.run(
        command{"SELECT quote_ident($1), EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", {schema}, false});
    if (present.failed) return present.failed->why;
    if (present.of.at(0).at(0, 1) == "t") return done{}; // CREATE ... IF NOT EXISTS would ask for the right to make one
    return run_script(db, "CREATE SCHEMA " + std::string(*present.of.at(0).at(0, 0)));
}

/// All in one transaction, the turn included; the caller rolls back after an error.
status run_missing(connection& db, const std::string& schema, const migration& step) {
    if (auto begun = run_script(db, "BEGIN; SET LOCAL statement_timeout = 0; " + std::string(take_turn)); !begun)
        return begun;
    const auto version = version_of(db, schema); // again: another opener may have been faster
    if (!version) return version.err();
    if (*version >= step.version) return run_script(db, "COMMIT");
    if (auto made = make_schema(db, schema); !made) return made;
    if (auto made = run_script(db, bookkeeping); !made) return made;
    if (auto ran = run_script(db, step.script); !ran) {
        return error{ran.err().kind, "migration " + std::to_string(step.version) + " (" + step.name +
                                         ") failed, the database is as before: " + ran.err().text};
    }
    auto noted = db.run(command{"INSERT INTO schema_migrations (version, name, applied_at) VALUES ($1::integer, $2, "
                                "now())",
                                {std::to_string(step.version), step.name},
                                false});
    if (noted.failed) return noted.failed->why;
    return run_script(db, "COMMIT");
}

} // namespace

// The catalogue is searched as a table: to_regclass() may remember, from before we waited for our turn, that there is
// none.
result<int> version_of(connection& db, const std::string& schema) {
    auto tables = db.run(command{"SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                                 "WHERE n.nspname = $1 AND c.relname = 'schema_migrations')",
                                 {schema},
                                 false});
    if (tables.failed) return tables.failed->why;
    if (tables.of.at(0).at(0, 0) != "t") return 0;
    auto highest = db.run(command{"SELECT coalesce(max(version), 0) FROM schema_migrations", {}, false});
    if (highest.failed) return highest.failed->why;
    return std::stoi(std::string(*highest.of.at(0).at(0, 0)));
}

status migrate(connection& db, const std::string& schema, std::span<const migration> migrations) {
    const auto version = version_of(db, schema);
    if (!version) return version.err();
    const int ours = migrations.empty() ? 0 : migrations.back().version;
    if (*version > ours) return newer(db, schema, *version, ours);
    if (*version == ours) return done{};
    for (const migration& step : migrations) {
        if (step.version <= *version) continue;
        if (auto ran = run_missing(db, schema, step); !ran) {
            db.rollback();
            return ran;
        }
    }
    return done{};
}

} // namespace fb::storage::postgres
