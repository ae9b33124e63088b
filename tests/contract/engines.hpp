// The engines that the contract suite runs over. A new one joins by a struct like these and its place in the lists.
#pragma once

#include <doctest/doctest.h>

#include <memory>

#include "storage/open.hpp"
#include "storage/postgres/open.hpp"
#include "storage/redo/redo_store.hpp"
#include "tests/support/postgres_server.hpp"
#include "tests/support/raw_sqlite.hpp"
#include "tests/support/scratch_dir.hpp"

namespace fb::test {

struct memory_engine {
    std::unique_ptr<storage::fota_store> open_fota() { return storage::make_memory_fota_store(); }
    std::unique_ptr<storage::session_store> open_sessions() { return storage::make_memory_session_store(); }
    void check_consistency() {}
};

struct sqlite_engine {
    std::unique_ptr<storage::fota_store> open_fota() {
        auto store = storage::open_sqlite_fota_store(directory / "fota.db");
        REQUIRE(store);
        return std::move(*store);
    }
    std::unique_ptr<storage::session_store> open_sessions() {
        auto opened = storage::open_sqlite_session_store(directory / "state.db");
        REQUIRE(opened);
        CHECK_FALSE(opened->put_aside);
        return std::move(opened->store);
    }
    void check_consistency() {
        CHECK(raw_sql(directory / "fota.db", "PRAGMA integrity_check") == "ok");
        CHECK(raw_sql(directory / "fota.db", "PRAGMA foreign_key_check") == "");
    }

    scratch_dir directory;
};

/// A schema of its own on the program's PostgreSQL server.
struct postgres_engine {
    std::unique_ptr<storage::fota_store> open_fota() {
        storage::postgres::settings how;
        how.url = postgres_server::shared().url();
        how.schema = schema;
        auto store = storage::postgres::open_fota_store(how);
        REQUIRE_MESSAGE(store, store.err().text);
        return std::move(*store);
    }
    void check_consistency() {}

    std::string schema = postgres_server::shared().fresh_schema();
};

/// The redo log in front of SQLite; with segments so short that some are full.
struct redo_engine {
    std::unique_ptr<storage::session_store> open_sessions() {
        auto base = storage::open_sqlite_session_store(directory / "state.db");
        REQUIRE(base);
        auto files = storage::redo::open_segment_directory(directory / "redo");
        REQUIRE(files);
        auto store = std::make_unique<storage::redo::redo_store>(std::move(base->store), std::move(*files),
                                                                 storage::redo::settings{16 * 1024, 2, true});
        const auto recovered = store->recover();
        REQUIRE(recovered);
        CHECK(*recovered == "");
        return store;
    }

    scratch_dir directory;
};

} // namespace fb::test

TYPE_TO_STRING(fb::test::memory_engine);
TYPE_TO_STRING(fb::test::sqlite_engine);
TYPE_TO_STRING(fb::test::postgres_engine);
TYPE_TO_STRING(fb::test::redo_engine);
#define FB_STORAGE_ENGINES fb::test::memory_engine, fb::test::sqlite_engine, fb::test::postgres_engine
#define FB_SESSION_ENGINES fb::test::memory_engine, fb::test::sqlite_engine, fb::test::redo_engine
