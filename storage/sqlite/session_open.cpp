// How state.db is opened: alone, checked, migrated; and put aside when it is damaged, for a broker must start.
#include "storage/aside.hpp"
#include "storage/open.hpp"
#include "storage/sqlite/integrity.hpp"
#include "storage/sqlite/migrate.hpp"
#include "storage/sqlite/session_store.hpp"

namespace fb::storage {

namespace {

using sqlite::connection;

status check_but_queues(connection& db) {
    for (const char* table : {"sessions", "subscriptions", "received", "retained", "redo"}) {
        if (auto sound = sqlite::quick_check(db, table); !sound) return sound;
    }
    return done{};
}

result<std::unique_ptr<connection>> open_checked(const std::filesystem::path& file, checked first) {
    auto db = connection::open(file, {});
    if (!db) return db.err();
    // Before the first look at the file: with it the log needs no shared memory, and nobody else gets in.
    if (auto locked = (*db)->exec("PRAGMA locking_mode = EXCLUSIVE"); !locked) return locked.err();
    if (auto configured = (*db)->configure_writer(); !configured) return configured.err();
    // A segment of the redo log touches the queues of all sessions again and again: with SQLite's 2 MiB it would write
    // each of their pages many times. Given back after each segment.
    if (auto cached = (*db)->exec("PRAGMA cache_size = -32768"); !cached) return cached.err();
    if (auto sound = first == checked::all ? sqlite::quick_check(**db, "1") : done{}; !sound) return sound.err();
    if (auto migrated = sqlite::migrate(**db, sqlite::state_migrations()); !migrated) return migrated.err();
    if (auto sound = first == checked::all ? done{} : check_but_queues(**db); !sound) return sound.err();
    return db;
}

} // namespace

result<opened_session_store> open_sqlite_session_store(const std::filesystem::path& file, checked first) {
    opened_session_store out;
    auto db = open_checked(file, first);
    if (!db && db.err().kind == error_kind::corrupt) {
        auto aside = put_database_aside(file);
        if (!aside) return aside.err();
        out.put_aside = *aside;
        db = open_checked(file, first);
    }
    if (!db) return db.err();
    out.store = sqlite::make_session_store(std::move(*db));
    return out;
}

} // namespace fb::storage
