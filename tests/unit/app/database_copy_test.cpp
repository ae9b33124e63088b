// Exports and imports of FOTA's data: everything comes back, and a file that was cut or changed leaves no trace.
#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "broker/app/database_copy.hpp"
#include "storage/open.hpp"
#include "storage/sqlite/raw_tables.hpp"
#include "tests/support/every_table.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace fb;
using app::export_database;
using app::import_database;

namespace {

const app::copy_progress quiet = [](const std::string&, std::int64_t) {};
constexpr storage::timestamp now{std::chrono::hours(24 * 365 * 56)};

std::unique_ptr<storage::raw_tables> raw(const std::filesystem::path& file) {
    REQUIRE(storage::open_sqlite_fota_store(file)); // makes the tables
    auto db = storage::sqlite::open_raw_tables(file);
    REQUIRE(db);
    return std::move(*db);
}

std::string exported(const std::filesystem::path& file) {
    std::ostringstream out;
    export_database(*raw(file), out, quiet);
    return out.str();
}

/// What an import of `text` into a fresh file says, and what is in the file afterwards, if anything.
std::string import_fault(const std::string& text) {
    const test::scratch_dir dir;
    std::istringstream in(text);
    std::string fault;
    try {
        import_database(in, *raw(dir / "fota.db"), quiet);
    } catch (const std::runtime_error& e) {
        fault = e.what();
    }
    if (!fault.empty()) CHECK(exported(dir / "fota.db").find("\"row\"") == std::string::npos);
    return fault;
}

/// A file with something in each table, and more rows than are copied at once.
void fill(const std::filesystem::path& file) {
    using namespace storage;
    std::vector<fota_operation> all;
    device d;
    d.name = "quotes \" \\ and \xc3\xa4\n";
    d.last_seen = now;
    d.online = true;
    for (int i = 0; i < 1200; ++i) {
        d.id = new_id<device_uuid>(now);
        d.device_id = "dev-" + std::to_string(i);
        all.push_back(record_report{d, {}, {}, {}});
    }
    firmware f;
    f.id = new_id<firmware_uuid>(now);
    f.device_type = "sensor";
    f.version = "1.0.0";
    f.size = 5'000'000'000;
    f.state = firmware_state::approved;
    update u;
    u.id = new_id<update_uuid>(now);
    u.device_id = d.id;
    u.firmware_id = f.id;
    u.state = update_state::pending;
    update_event e{new_id<event_uuid>(now), u.id, now, {}, update_state::pending, 1, "test", {}};
    update_result r;
    r.id = new_id<result_uuid>(now);
    r.device_id = d.id;
    r.event_key = "k";
    r.late = true;
    all.insert(all.end(), {save_firmware{f}, create_update{u, {}, {e}}, record_report{{}, {}, r, {}},
                           save_idempotency{{"key", "hash", 201, "{}", now}}});
    auto store = open_sqlite_fota_store(file);
    for (const auto& outcome : (*store)->apply(all)) REQUIRE(outcome);
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    const auto at = text.find(what);
    REQUIRE(at != std::string::npos);
    return text.replace(at, what.size(), by);
}

} // namespace

TEST_CASE("an import of an export is the same database") {
    const test::scratch_dir dir;
    fill(dir / "a.db");
    const std::string text = exported(dir / "a.db");
    std::istringstream in(text);
    const auto done = import_database(in, *raw(dir / "b.db"), quiet);
    CHECK(std::count(done.rows.begin(), done.rows.end(), std::pair<std::string, std::int64_t>("devices", 1200)) == 1);
    CHECK(text.find(done.sha256) != std::string::npos);
    CHECK(exported(dir / "b.db") == text);
    const auto reader = std::move(*(*storage::open_sqlite_fota_store(dir / "b.db"))->open_reader());
    CHECK((*reader->find_device("dev-7"))->online);
    CHECK((*reader->find_firmware("sensor", "1.0.0"))->size == 5'000'000'000);
    CHECK((*reader->find_open_update("dev-1199"))->row.state == storage::update_state::pending);
}

TEST_CASE("every column of every table is in an export and comes back") {
    const test::scratch_dir dir;
    test::fill_every_table(*raw(dir / "a.db"));
    const std::string text = exported(dir / "a.db");
    std::istringstream in(text);
    const auto done = import_database(in, *raw(dir / "b.db"), quiet);
    for (const auto& each : done.rows) {
        CAPTURE(each.first);
        CHECK(each.second == (each.first == "rollout_groups" ? test::many_groups : 1));
    }
    CHECK(exported(dir / "b.db") == text);
    CHECK(text.find("null") == std::string::npos);
}

TEST_CASE("a file that was cut, changed or made for something else is refused, and nothing of it stays") {
    const test::scratch_dir dir;
    fill(dir / "a.db");
    const std::string text = exported(dir / "a.db");
    CHECK(import_fault(text) == "");
    CHECK(import_fault("").starts_with("line 0: is not the beginning of an export"));
    CHECK(import_fault(std::string((16 << 20) + 1, '[')).starts_with("line 1: is too long"));
    CHECK(import_fault(std::string(1'000'000, '[') + "\n").find("not a JSON object") != std::string::npos);
    CHECK(import_fault("{}\n").find("is not the beginning") != std::string::npos);
    CHECK(import_fault(text.substr(0, text.rfind('\n', text.size() - 2) + 1)).find("cut short") != std::string::npos);
    CHECK(import_fault(text.substr(0, text.size() / 2)).find("line ") != std::string::npos);
    CHECK(import_fault(replaced(text, "dev-7\"", "dev-x\"")).find("checksum") != std::string::npos);
    CHECK(import_fault(replaced(text, "\"schema_version\":", "\"schema_version\":1")).find("another schema version") !=
          std::string::npos);
    CHECK(import_fault(replaced(text, "\"devices\"", "\"toasters\"")).find("no table \"toasters\"") !=
          std::string::npos);
    CHECK(import_fault(replaced(text, "\"hw_rev\":null", "\"hw_rev\":7")).find("hw_rev") != std::string::npos);
    CHECK(import_fault(replaced(text, "\"hw_rev\"", "\"hw_rex\"")).find("no column hw_rev") != std::string::npos);
    CHECK(import_fault(replaced(text, "\"online\":true", "\"online\":1")).find("online") != std::string::npos);
    CHECK(import_fault(replaced(text, "dev-8\"", "dev-7\"")).find("devices") != std::string::npos);
}

TEST_CASE("an import goes into an empty database only") {
    const test::scratch_dir dir;
    fill(dir / "a.db");
    std::istringstream in(exported(dir / "a.db"));
    CHECK_THROWS_WITH_AS(import_database(in, *raw(dir / "a.db"), quiet),
                         doctest::Contains("is not empty: devices has 1200"), std::runtime_error);
}
