// Migrations: both engines have the same tables at every version, programs that know the seed's columns go on working,
// and openers do not get in each other's way.
#include <doctest/doctest.h>

#include <algorithm>
#include <thread>

#include "postgres_world.hpp"
#include "storage/postgres/migrate.hpp"
#include "storage/postgres/raw_tables.hpp"
#include "storage/postgres/values.hpp"
#include "storage/sqlite/migrate.hpp"
#include "storage/sqlite/raw_tables.hpp"
#include "tests/support/every_table.hpp"
#include "tests/support/raw_sqlite.hpp"

using namespace fb::test;

namespace {

void migrate_sqlite(const std::filesystem::path& file, std::size_t version) {
    auto db = sqlite::connection::open(file, {});
    REQUIRE(db);
    REQUIRE(sqlite::migrate(**db, sqlite::fota_migrations().first(version)));
}

void migrate_postgres(const postgres::settings& s, std::size_t version) {
    auto db = postgres::connection::open(s, postgres::access::writing);
    REQUIRE(db);
    const auto migrated = postgres::migrate(**db, s.schema, postgres::fota_migrations().first(version));
    REQUIRE_MESSAGE(migrated, migrated.err().text);
}

// One line for each column: table.column, SQLite's type, whether NULL is refused, the default, place in the key.
constexpr const char* sqlite_columns =
    "SELECT m.name || '.' || c.name || ' ' || c.type || ' ' || (c.\"notnull\" OR c.pk > 0) || ' ' || "
    "coalesce(c.dflt_value, '-') || ' ' || c.pk FROM sqlite_schema m JOIN pragma_table_info(m.name) c "
    "WHERE m.type = 'table' ORDER BY 1";
constexpr const char* postgres_columns =
    "SELECT table_name || '.' || column_name || ' ' || CASE WHEN data_type IN ('integer', 'bigint', 'boolean') THEN "
    "'INTEGER' WHEN data_type IN ('uuid', 'text', 'timestamp with time zone') THEN 'TEXT' ELSE data_type END || ' ' || "
    "(is_nullable = 'NO')::integer || ' ' || "
    "coalesce(replace(regexp_replace(column_default, '::[a-z ]+$', ''), 'false', '0'), '-') || ' ' || "
    "coalesce((SELECT array_position(indkey::smallint[], (SELECT attnum FROM pg_attribute WHERE attrelid = indrelid "
    "AND attname = column_name)) + 1 FROM pg_index WHERE indrelid = (current_schema() || '.' || table_name)::regclass "
    "AND indisprimary), 0) "
    "FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name) WHERE "
    "table_schema = current_schema() AND table_type = 'BASE TABLE' AND table_name <> 'store_writers' ORDER BY 1";

constexpr const char* postgres_column_types =
    "SELECT table_name || '.' || column_name || ' ' || CASE data_type WHEN 'timestamp with time zone' THEN "
    "'timestamptz' ELSE data_type END FROM information_schema.columns JOIN information_schema.tables USING "
    "(table_schema, table_name) WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND table_name NOT "
    "IN ('store_writers', 'schema_migrations') ORDER BY 1";

// The views' columns by their places; SQLite has no types for them.
constexpr const char* sqlite_views =
    "SELECT m.name || '.' || c.name || ' ' || (c.cid + 1) FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE "
    "m.type = 'view' ORDER BY 1";
constexpr const char* postgres_views =
    "SELECT table_name || '.' || column_name || ' ' || ordinal_position FROM information_schema.columns JOIN "
    "information_schema.views USING (table_schema, table_name) WHERE table_schema = current_schema() ORDER BY 1";

// Name (where the schema gives one), table, unique, partial, columns. Primary keys are in the list of columns.
constexpr const char* sqlite_indexes =
    "SELECT CASE il.origin WHEN 'c' THEN il.name ELSE '-' END || ' ' || m.name || ' ' || il.\"unique\" || ' ' || "
    "il.partial || ' ' || (SELECT group_concat(ii.name) FROM pragma_index_info(il.name) ii) FROM sqlite_schema m "
    "JOIN pragma_index_list(m.name) il WHERE m.type = 'table' AND il.origin <> 'pk' ORDER BY 1";
constexpr const char* postgres_indexes =
    "SELECT CASE WHEN c.oid IS NULL THEN i.relname ELSE '-' END || ' ' || t.relname || ' ' || x.indisunique::integer "
    "|| "
    "' ' || (x.indpred IS NOT NULL)::integer || ' ' || (SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM "
    "unnest(x.indkey) WITH ORDINALITY k (attnum, n) JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum) "
    "FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid "
    "LEFT JOIN pg_constraint c ON c.conindid = i.oid AND c.contype = 'u' "
    "WHERE t.relnamespace = current_schema()::regnamespace AND NOT x.indisprimary ORDER BY 1";

constexpr const char* sqlite_predicates = "SELECT name || ' ' || replace(sql, char(10), ' ') FROM sqlite_schema WHERE "
                                          "type = 'index' AND sql LIKE '%WHERE%' ORDER BY 1";
constexpr const char* postgres_predicates =
    "SELECT i.relname || ' ' || pg_get_expr(x.indpred, x.indrelid) FROM pg_index x JOIN pg_class i ON i.oid = "
    "x.indexrelid WHERE i.relnamespace = current_schema()::regnamespace AND x.indpred IS NOT NULL "
    "ORDER BY 1";

constexpr const char* sqlite_references =
    "SELECT m.name || '.' || f.\"from\" || ' ' || f.\"table\" || '.' || f.\"to\" || ' ' || f.on_delete FROM "
    "sqlite_schema m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table' ORDER BY 1";
constexpr const char* postgres_references =
    "SELECT t.relname || '.' || a.attname || ' ' || r.relname || '.' || b.attname || ' ' || "
    "CASE c.confdeltype WHEN 'a' THEN 'NO ACTION' ELSE c.confdeltype::text END FROM pg_constraint c "
    "JOIN pg_class t ON t.oid = c.conrelid JOIN pg_class r ON r.oid = c.confrelid "
    "JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1] "
    "JOIN pg_attribute b ON b.attrelid = r.oid AND b.attnum = c.confkey[1] "
    "WHERE c.contype = 'f' AND t.relnamespace = current_schema()::regnamespace ORDER BY 1";

/// Of each line the name and what the condition is made of: PostgreSQL writes it its own way.
std::string condition_parts(const std::string& lines) {
    std::string out;
    bool quoted = false;
    for (std::size_t at = 0; at < lines.size(); ++at) {
        const bool begins_line = at == 0 || lines[at - 1] == '\n';
        if (begins_line) out += "\n" + lines.substr(at, lines.find(' ', at) - at) + ":";
        if (lines[at] == '\'') quoted = !quoted;
        if (quoted) out += lines[at];
        if (lines.compare(at, 7, "IS NULL") == 0) out += " null";
        if (lines.compare(at, 11, "IS NOT NULL") == 0) out += " not null";
    }
    return out;
}

/// The seed's columns as another program would write and read them, with ids that end in `version`.
void check_seed_contract(const postgres::settings& s, std::size_t version) {
    const auto id = [&](int kind) {
        return "'01936b6e-0000-7000-8000-0000000" + std::to_string(version) + "000" + std::to_string(kind) + "'";
    };
    const std::string name = "dev" + std::to_string(version), when = "'2026-11-22T10:15:30.123Z'";
    CHECK(sql_in(s, "INSERT INTO devices (id, device_id, type, name, firmware_version, last_seen, ip) VALUES (" +
                        id(1) + ", '" + name + "', 'sensor', 'n', '1.0.0', " + when + ", '10.0.0.1')") == "");
    CHECK(
        sql_in(s, "INSERT INTO firmwares (id, device_type, version, url, checksum, uploaded_by, uploaded_at) VALUES (" +
                      id(2) + ", 'sensor', '2.0.0', 'u', 'c', 'me', " + when + ")") == "");
    CHECK(sql_in(s, "INSERT INTO updates (id, device_id, firmware_id, sent_at) VALUES (" + id(3) + ", " + id(1) + ", " +
                        id(2) + ", NULL)") == "");
    CHECK(sql_in(s, "INSERT INTO update_results (id, device_id, firmware_version, status, timestamp) VALUES (" + id(4) +
                        ", " + id(1) + ", '2.0.0', 'success', " + when + ")") == "");
    CHECK(sql_in(s, "SET TimeZone = 'UTC'; SELECT type, name, firmware_version, last_seen, ip FROM devices WHERE "
                    "device_id = '" +
                        name + "'") == "sensor|n|1.0.0|2026-11-22 10:15:30.123+00|10.0.0.1");
    CHECK(
        sql_in(s, "SELECT u.sent_at, f.version, r.status FROM updates u JOIN firmwares f ON f.id = u.firmware_id JOIN "
                  "update_results r ON r.device_id = u.device_id WHERE u.id = " +
                      id(3)) == "NULL|2.0.0|success");
    CHECK(sql_in(s, "INSERT INTO devices (id) VALUES (" + id(5) + ")").find("not-null") != std::string::npos);
    CHECK(sql_in(s, "INSERT INTO updates (id, device_id) VALUES (" + id(6) + ", " + id(7) + ")").find("foreign key") !=
          std::string::npos);
}

} // namespace

TEST_CASE("both engines have the same tables, columns, defaults, indexes, references and views at every version") {
    const auto ours = postgres::fota_migrations();
    const auto theirs = sqlite::fota_migrations();
    REQUIRE(ours.size() == theirs.size());
    const scratch_dir dir;
    const auto file = dir / "fota.db";
    const auto s = fresh_settings();
    for (std::size_t version = 1; version <= ours.size(); ++version) {
        CAPTURE(version);
        CHECK(ours[version - 1].version == theirs[version - 1].version);
        CHECK(std::string(ours[version - 1].name) == theirs[version - 1].name);
        migrate_sqlite(file, version);
        migrate_postgres(s, version);
        CHECK(sql_in(s, postgres_columns) == raw_sql(file, sqlite_columns));
        CHECK(sql_in(s, postgres_indexes) == raw_sql(file, sqlite_indexes));
        CHECK(sql_in(s, postgres_views) == raw_sql(file, sqlite_views));
        CHECK(sql_in(s, postgres_references) == raw_sql(file, sqlite_references));
        CHECK(condition_parts(sql_in(s, postgres_predicates)) == condition_parts(raw_sql(file, sqlite_predicates)));
    }
    CHECK(sql_in(s, "SELECT version, name FROM schema_migrations ORDER BY version") ==
          raw_sql(file, "SELECT version, name FROM schema_migrations ORDER BY version"));
    CHECK(raw_sql(file, sqlite_views).find("stuck_devices.since 9") != std::string::npos);
    CHECK(raw_sql(file, sqlite_predicates).find("verifying") != std::string::npos); // there is something to compare
}

TEST_CASE("copies of a database know every table and column, and carry each between the engines") {
    const scratch_dir dir;
    const auto s = fresh_settings();
    opened(s);
    migrate_sqlite(dir / "fota.db", sqlite::fota_migrations().size());
    std::vector<std::string> lines;
    for (const table& t : fota_tables()) {
        const auto columns = split_columns(t.columns);
        for (std::size_t i = 0; i < columns.size(); ++i)
            lines.push_back(t.name + ("." + std::string(columns[i])) + " " + postgres::type_name(t.types[i]));
    }
    std::sort(lines.begin(), lines.end());
    std::string listed;
    for (const auto& line : lines) listed += (listed.empty() ? "" : "\n") + line;
    CHECK(sql_in(s, postgres_column_types) == listed);

    auto ours = postgres::open_raw_tables(s);
    auto theirs = sqlite::open_raw_tables(dir / "fota.db");
    REQUIRE((ours && theirs));
    fill_every_table(**ours);
    fill_every_table(**theirs);
    for (const table& t : fota_tables()) {
        CAPTURE(t.name);
        raw_row last;
        int rows = 0;
        for (bool more = true; more;) {
            const auto here = (*ours)->read(t, last, 500);
            const auto there = (*theirs)->read(t, last, 500);
            REQUIRE((here && there));
            CHECK(*here == *there);
            more = !here->empty();
            if (more) last = here->back();
            rows += static_cast<int>(here->size());
        }
        CHECK(rows == (std::string_view(t.name) == "rollout_groups" ? many_groups : 1));
    }
}

TEST_CASE("programs that know the seed's columns only can write and read at every version") {
    const auto s = fresh_settings();
    for (std::size_t version = 1; version <= postgres::fota_migrations().size(); ++version) {
        CAPTURE(version);
        migrate_postgres(s, version);
        check_seed_contract(s, version);
    }
    const auto reader = opened(s)->open_reader();
    REQUIRE(reader);
    CHECK((*reader)->list_devices({})->items.at(0).tags == "[]");
    CHECK((*reader)->list_updates({})->items.empty()); // theirs is never acted on
    CHECK((*reader)->open_updates()->empty());
    CHECK((*reader)->list_results({})->items.empty());
}

TEST_CASE("several openers at once migrate a schema once, a new one and one of any older version") {
    const auto all = postgres::fota_migrations();
    for (std::size_t older = 0; older < all.size(); ++older) {
        CAPTURE(older);
        const auto s = fresh_settings();
        if (older > 0) migrate_postgres(s, older);
        std::vector<std::string> problems(4);
        std::vector<std::thread> threads;
        for (auto& problem : problems) {
            threads.emplace_back([&problem, &s] {
                const auto store = postgres::open_fota_store(s);
                if (!store) problem = store.err().text;
            });
        }
        for (auto& thread : threads) thread.join();
        for (const auto& problem : problems) CHECK(problem == "");
        CHECK(sql_in(s, "SELECT count(*) FROM schema_migrations") == std::to_string(all.size()));
    }
}

TEST_CASE("a migration that fails leaves the schema and the data before it") {
    const auto s = fresh_settings();
    const postgres::migration steps[] = {
        {1, "first", "CREATE TABLE a (x integer); INSERT INTO a VALUES (1)"},
        {2, "bad", "CREATE TABLE b (x integer); DROP TABLE a; CREATE TABLE b (x integer)"},
    };
    auto db = postgres::connection::open(s, postgres::access::writing);
    REQUIRE(db);
    const auto migrated = postgres::migrate(**db, s.schema, steps);
    REQUIRE_FALSE(migrated);
    CHECK(migrated.err().text.find("migration 2 (bad)") != std::string::npos);
    CHECK(sql_in(s, "SELECT x FROM a") == "1");
    CHECK(sql_in(s, "SELECT max(version) FROM schema_migrations") == "1");
    CHECK(sql_in(s, "SELECT to_regclass('b')") == "NULL");
}

TEST_CASE("our own migrations leave the schema and the data before them when one fails") {
    const auto s = fresh_settings();
    migrate_postgres(s, 2);
    check_seed_contract(s, 2);
    sql_in(s, "CREATE TABLE auth_failures (somebody_elses integer)");
    const std::string before = sql_in(s, postgres_columns) + sql_in(s, postgres_indexes);
    const auto store = postgres::open_fota_store(s);
    REQUIRE_FALSE(store);
    CHECK(store.err().text.find("migration 3 (full_model) failed") != std::string::npos);
    CHECK(sql_in(s, postgres_columns) + sql_in(s, postgres_indexes) == before);
    CHECK(sql_in(s, "SELECT max(version) FROM schema_migrations") == "2");
    CHECK(sql_in(s, "SELECT count(*) FROM devices") == "1");

    sql_in(s, "DROP TABLE auth_failures");
    CHECK(postgres::open_fota_store(s));
}

TEST_CASE("a database of a newer program is refused with its version and ours") {
    const auto s = fresh_settings();
    opened(s);
    sql_in(s, "INSERT INTO schema_migrations VALUES (99, 'future', now())");
    const auto store = postgres::open_fota_store(s);
    REQUIRE_FALSE(store);
    CHECK(store.err().kind == error_kind::schema);
    CHECK(store.err().text.find(s.schema) != std::string::npos);
    CHECK(store.err().text.find("version 99") != std::string::npos);
    CHECK(store.err().text.find("knows " + std::to_string(postgres::fota_migrations().back().version)) !=
          std::string::npos);
}
