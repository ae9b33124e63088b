// Schema versions: what others may count on at each of them, and what happens when one does not fit.
#include <doctest/doctest.h>

#include <thread>

#include "storage/open.hpp"
#include "storage/sqlite/migrate.hpp"
#include "tests/support/raw_sqlite.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace fb::storage;
using fb::test::raw_sql;
using fb::test::scratch_dir;

namespace {

const std::string d1 = "'01936b6e-0000-7000-8000-000000000001'", f1 = "'01936b6e-0000-7000-8000-000000000002'",
                  u1 = "'01936b6e-0000-7000-8000-000000000003'", r1 = "'01936b6e-0000-7000-8000-000000000004'";

void migrate_to(const std::filesystem::path& file, std::span<const sqlite::migration> migrations) {
    auto db = sqlite::connection::open(file, {});
    REQUIRE(db);
    REQUIRE((*db)->configure_writer());
    REQUIRE(sqlite::migrate(**db, migrations));
}

void check_seed_contract(const std::filesystem::path& file, const std::string& suffix) {
    const auto id = [&](std::string quoted) { return quoted.insert(quoted.size() - 1, suffix); };
    CHECK(raw_sql(file, "INSERT INTO devices (id, device_id, type, name, firmware_version, last_seen, ip) VALUES (" +
                            id(d1) + ", 'dev" + suffix +
                            "', 'sensor', 'n', '1.0.0', '2026-11-22T10:15:30.123Z', "
                            "'10.0.0.1')") == "");
    CHECK(raw_sql(file, "INSERT INTO firmwares (id, device_type, version, url, checksum, uploaded_by, uploaded_at) "
                        "VALUES (" +
                            id(f1) + ", 'sensor', '2.0.0', 'u', 'c', 'me', '2026-11-22T10:15:30.123Z')") == "");
    CHECK(raw_sql(file, "INSERT INTO updates (id, device_id, firmware_id, sent_at) VALUES (" + id(u1) + ", " + id(d1) +
                            ", " + id(f1) + ", NULL)") == "");
    CHECK(raw_sql(file, "INSERT INTO update_results (id, device_id, firmware_version, status, timestamp) VALUES (" +
                            id(r1) + ", " + id(d1) + ", '2.0.0', 'success', '2026-11-22T10:15:30.123Z')") == "");
    CHECK(raw_sql(file, "SELECT device_id, type, name, firmware_version, last_seen, ip FROM devices WHERE id = " +
                            id(d1)) == "dev" + suffix + "|sensor|n|1.0.0|2026-11-22T10:15:30.123Z|10.0.0.1");
    CHECK(raw_sql(file, "SELECT u.sent_at, f.version, r.status FROM updates u JOIN firmwares f ON f.id = u.firmware_id "
                        "JOIN update_results r ON r.device_id = u.device_id WHERE u.id = " +
                            id(u1)) == "NULL|2.0.0|success");
    CHECK(raw_sql(file, "INSERT INTO devices (id) VALUES ('x')").starts_with("error: NOT NULL"));
    CHECK(raw_sql(file, "INSERT INTO devices (id, device_id) VALUES ('x', 'dev" + suffix + "')")
              .starts_with("error: UNIQUE"));
    CHECK(
        raw_sql(file, "INSERT INTO updates (id, device_id) VALUES ('x', 'nobody')").starts_with("error: FOREIGN KEY"));
    CHECK(raw_sql(file, "PRAGMA integrity_check") == "ok");
    CHECK(raw_sql(file, "PRAGMA foreign_key_check") == "");
}

} // namespace

TEST_CASE("version 1 is exactly the seed's tables and columns") {
    const scratch_dir dir;
    const auto file = dir / "fota.db";
    migrate_to(file, sqlite::fota_migrations().first(1));
    CHECK(raw_sql(file, "SELECT group_concat(name, ' ') FROM (SELECT name FROM sqlite_schema WHERE type = 'table' "
                        "ORDER BY name)") == "devices firmwares schema_migrations update_results updates");
    const auto columns = [&](const std::string& table) {
        return raw_sql(file, "SELECT group_concat(name, ' ') FROM pragma_table_info('" + table + "')");
    };
    CHECK(columns("devices") == "id device_id type name firmware_version last_seen ip");
    CHECK(columns("firmwares") == "id device_type version url checksum uploaded_by uploaded_at");
    CHECK(columns("updates") == "id device_id firmware_id sent_at");
    CHECK(columns("update_results") == "id device_id firmware_version status timestamp");
    check_seed_contract(file, "");
}

TEST_CASE("programs that know the seed's columns only can write and read at every version") {
    const scratch_dir dir;
    const auto file = dir / "fota.db";
    const auto all = sqlite::fota_migrations();
    for (std::size_t version = 1; version <= all.size(); ++version) {
        CAPTURE(version);
        migrate_to(file, all.first(version));
        check_seed_contract(file, "-v" + std::to_string(version));
    }
    CHECK(raw_sql(file, "SELECT group_concat(version || ' ' || name, ', ') FROM schema_migrations") ==
          "1 seed, 2 working_columns, 3 full_model, 4 reports");
}

TEST_CASE("rows that others wrote are read where they are devices and never acted on where they are work") {
    const scratch_dir dir;
    const auto file = dir / "fota.db";
    migrate_to(file, sqlite::fota_migrations());
    check_seed_contract(file, "");
    CHECK(raw_sql(file, "INSERT INTO devices (id, device_id, last_seen) VALUES ('odd', 'odd', 'yesterday')") == "");
    auto store = open_sqlite_fota_store(file);
    REQUIRE(store);
    auto reader = (*store)->open_reader();
    REQUIRE(reader);
    const auto devices = (*reader)->list_devices({});
    REQUIRE(devices->items.size() == 2);
    CHECK(devices->items[0].tags == "[]");
    CHECK(devices->items[0].attributes == "{}");
    CHECK_FALSE(devices->items[0].online);
    CHECK(devices->items[1].id.is_nil()); // an id that is no UUID
    CHECK((*reader)->list_firmwares({})->items.empty());
    CHECK((*reader)->list_updates({})->items.empty());
    CHECK((*reader)->list_results({})->items.empty());
    CHECK((*reader)->open_updates()->empty());
    CHECK_FALSE(*(*reader)->find_latest_update("dev"));

    // Two updates of one device and firmware, and the version uploaded to us as well: none is in the others' way.
    CHECK(raw_sql(file, "INSERT INTO updates (id, device_id, firmware_id) VALUES ('u2', " + d1 + ", " + f1 + ")") ==
          "");
    firmware ours;
    ours.id = new_id<firmware_uuid>(timestamp{});
    ours.device_type = "sensor";
    ours.version = "2.0.0";
    ours.state = firmware_state::approved;
    update u;
    u.id = new_id<update_uuid>(timestamp{});
    u.device_id = devices->items[0].id;
    u.firmware_id = ours.id;
    u.state = update_state::pending;
    const fota_operation ops[] = {save_firmware{ours}, create_update{u, {}, {}}};
    for (const auto& outcome : (*store)->apply(ops)) CHECK(outcome);
}

TEST_CASE("a file from a newer program is refused with its version and ours") {
    const scratch_dir dir;
    const auto file = dir / "fota.db";
    migrate_to(file, sqlite::fota_migrations());
    raw_sql(file, "INSERT INTO schema_migrations (version, name, applied_at) VALUES (99, 'future', '')");
    const auto store = open_sqlite_fota_store(file);
    REQUIRE_FALSE(store);
    CHECK(store.err().kind == error_kind::schema);
    CHECK(store.err().text.find(file.string()) != std::string::npos);
    CHECK(store.err().text.find("version 99") != std::string::npos);
    CHECK(store.err().text.find("knows " + std::to_string(sqlite::fota_migrations().back().version)) !=
          std::string::npos);

    { REQUIRE(open_sqlite_session_store(dir / "state.db")); }
    raw_sql(dir / "state.db", "INSERT INTO schema_migrations (version, name, applied_at) VALUES (99, 'future', '')");
    const auto sessions = open_sqlite_session_store(dir / "state.db");
    REQUIRE_FALSE(sessions);
    CHECK(sessions.err().kind == error_kind::schema); // and not put aside
}

TEST_CASE("a migration that fails leaves the schema and the data before it") {
    const scratch_dir dir;
    const auto file = dir / "x.db";
    const sqlite::migration steps[] = {
        {1, "first", "CREATE TABLE a (x); INSERT INTO a VALUES (1)"},
        {2, "bad", "CREATE TABLE b (x); DROP TABLE a; CREATE TABLE b (x)"},
    };
    auto db = sqlite::connection::open(file, {});
    REQUIRE(db);
    const auto migrated = sqlite::migrate(**db, steps);
    REQUIRE_FALSE(migrated);
    CHECK(migrated.err().text.find("migration 2 (bad)") != std::string::npos);
    CHECK_FALSE((*db)->in_transaction());
    CHECK(raw_sql(file, "SELECT x FROM a") == "1");
    CHECK(raw_sql(file, "SELECT max(version) FROM schema_migrations") == "1");
    CHECK(raw_sql(file, "SELECT x FROM b").starts_with("error: no such table"));
}

TEST_CASE("our own migrations leave the schema and the data before them when one fails") {
    const scratch_dir dir;
    const auto file = dir / "fota.db";
    migrate_to(file, sqlite::fota_migrations().first(2));
    check_seed_contract(file, "");
    raw_sql(file, "CREATE TABLE auth_failures (somebody_elses)");
    const std::string before = raw_sql(file, "SELECT * FROM sqlite_schema");
    const auto store = open_sqlite_fota_store(file);
    REQUIRE_FALSE(store);
    CHECK(store.err().text.find("migration 3 (full_model) failed") != std::string::npos);
    CHECK(raw_sql(file, "SELECT * FROM sqlite_schema") == before);
    CHECK(raw_sql(file, "SELECT max(version) FROM schema_migrations") == "2");
    CHECK(raw_sql(file, "SELECT count(*) FROM devices") == "1");

    raw_sql(file, "DROP TABLE auth_failures");
    CHECK(open_sqlite_fota_store(file));
}

TEST_CASE("several openers at once migrate a file once, a new one and one of any older version") {
    const auto all = sqlite::fota_migrations();
    for (std::size_t older = 0; older < all.size(); ++older) {
        CAPTURE(older);
        const scratch_dir dir;
        const auto file = dir / "fota.db";
        if (older > 0) migrate_to(file, all.first(older));
        std::vector<std::string> problems(4);
        std::vector<std::thread> threads;
        for (auto& problem : problems) {
            threads.emplace_back([&problem, &file] {
                const auto store = open_sqlite_fota_store(file);
                if (!store) problem = store.err().text;
            });
        }
        for (auto& thread : threads) thread.join();
        for (const auto& problem : problems) CHECK(problem == "");
        CHECK(raw_sql(file, "SELECT count(*) FROM schema_migrations") == std::to_string(all.size()));
    }
}
