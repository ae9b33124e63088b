// The SQLite stores and their files: what survives, who else may look, and which error a troubled file gives.
#include <doctest/doctest.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "storage/open.hpp"
#include "storage/sqlite/query.hpp"
#include "tests/support/file_mode.hpp"
#include "tests/support/file_size_limit.hpp"
#include "tests/support/raw_sqlite.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace fb::storage;
using fb::test::mode_of;
using fb::test::raw_sql;
using fb::test::scratch_dir;

namespace {

std::unique_ptr<fota_store> opened_fota(const std::filesystem::path& file) {
    auto store = open_sqlite_fota_store(file);
    REQUIRE(store);
    return std::move(*store);
}

fota_operation report_of(const std::string& device_id, std::size_t attribute_bytes = 0) {
    device d;
    d.id = new_id<device_uuid>(timestamp{});
    d.device_id = device_id;
    d.attributes = std::string(attribute_bytes, ' ') + "{}";
    return record_report{d, {}, {}, {}};
}

session_operation session_of(std::uint64_t number) {
    put_session op;
    op.row.number = number;
    op.row.client_id = "client-" + std::to_string(number);
    return op;
}

std::uint64_t highest_session(session_store& store) {
    const auto counters = store.load({});
    REQUIRE(counters);
    return counters->session;
}

} // namespace

TEST_CASE("what was applied is there after reopening, and the files are private") {
    const scratch_dir dir;
    {
        auto store = opened_fota(dir / "fota.db");
        const fota_operation op = report_of("press-7");
        REQUIRE(store->apply({&op, 1})[0]);
        CHECK(mode_of(dir / "fota.db") == 0600);
        CHECK(mode_of(dir / "fota.db-wal") == 0600);
        auto sessions = open_sqlite_session_store(dir / "state.db");
        REQUIRE(sessions);
        const session_operation put = session_of(7);
        REQUIRE(sessions->store->apply({&put, 1}));
        CHECK(mode_of(dir / "state.db") == 0600);
    }
    auto reader = opened_fota(dir / "fota.db")->open_reader();
    REQUIRE(reader);
    CHECK(*(*reader)->find_device("press-7"));
    auto sessions = open_sqlite_session_store(dir / "state.db");
    REQUIRE(sessions);
    CHECK(highest_session(*sessions->store) == 7);
}

TEST_CASE("what was committed survives a process that ends without closing") {
    const scratch_dir dir;
    const pid_t child = ::fork();
    if (child == 0) {
        auto sessions = open_sqlite_session_store(dir / "state.db");
        auto store = open_sqlite_fota_store(dir / "fota.db");
        const session_operation put = session_of(7);
        const fota_operation report = report_of("press-7");
        const bool applied = sessions && store && sessions->store->apply({&put, 1}) && (*store)->apply({&report, 1})[0];
        ::_exit(applied ? 0 : 1);
    }
    int ended = -1;
    REQUIRE(::waitpid(child, &ended, 0) == child);
    REQUIRE(ended == 0);
    auto sessions = open_sqlite_session_store(dir / "state.db");
    REQUIRE(sessions);
    CHECK_FALSE(sessions->put_aside);
    CHECK(highest_session(*sessions->store) == 7);
    auto reader = opened_fota(dir / "fota.db")->open_reader();
    CHECK(*(*reader)->find_device("press-7"));
    CHECK(raw_sql(dir / "fota.db", "PRAGMA integrity_check") == "ok");
}

TEST_CASE("ids go on above those in the file even when the clock was set back") {
    const scratch_dir dir;
    auto ahead = make_uuid_v7(timestamp{});
    for (std::size_t i = 3; ++ahead[i] == 0;) --i; // a minute or so
    opened_fota(dir / "fota.db");
    raw_sql(dir / "fota.db", "INSERT INTO firmwares (id, state) VALUES ('" + format_uuid(ahead) + "', 'draft')");
    opened_fota(dir / "fota.db");
    CHECK(make_uuid_v7(timestamp{}) > ahead);
}

TEST_CASE("state.db belongs to one process, fota.db can be read from outside meanwhile") {
    const scratch_dir dir;
    auto sessions = open_sqlite_session_store(dir / "state.db");
    REQUIRE(sessions);
    auto second = sqlite::connection::open(dir / "state.db", {.busy_timeout = std::chrono::milliseconds(10)});
    REQUIRE(second);
    const auto refused = (*second)->exec("SELECT * FROM sessions");
    REQUIRE_FALSE(refused);
    CHECK(refused.err().kind == error_kind::busy);

    auto store = opened_fota(dir / "fota.db");
    const fota_operation op = report_of("press-7");
    REQUIRE(store->apply({&op, 1})[0]);
    CHECK(raw_sql(dir / "fota.db", "SELECT device_id FROM devices") == "press-7");
    CHECK(raw_sql(dir / "fota.db", "UPDATE devices SET name = 'outside'") == "");
    CHECK((*(*store->open_reader())->find_device("press-7"))->name == "outside");
}

TEST_CASE("a file that is not a database is put aside and a fresh one begun") {
    const scratch_dir dir;
    std::ofstream(dir / "state.db") << std::string(10'000, 'x');
    auto sessions = open_sqlite_session_store(dir / "state.db");
    REQUIRE(sessions);
    REQUIRE(sessions->put_aside);
    CHECK(sessions->put_aside->string().starts_with((dir / "state.db").string() + ".corrupt-2"));
    CHECK(std::filesystem::file_size(*sessions->put_aside) == 10'000);
    CHECK(highest_session(*sessions->store) == 0);
    const session_operation put = session_of(1);
    CHECK(sessions->store->apply({&put, 1}));
}

TEST_CASE("a damaged page is found at opening, and the file put aside with its log") {
    const scratch_dir dir;
    {
        auto sessions = open_sqlite_session_store(dir / "state.db");
        REQUIRE(sessions);
        std::vector<session_operation> ops;
        for (std::uint64_t n = 1; n <= 2000; ++n) ops.push_back(session_of(n));
        REQUIRE(sessions->store->apply(ops));
    }
    {
        std::fstream file(dir / "state.db", std::ios::in | std::ios::out | std::ios::binary);
        for (int page = 2; page < 20; ++page) {
            file.seekp(page * 4096);
            file << std::string(512, '\x5a');
        }
    }
    std::ofstream(dir / "state.db-wal") << "left over";
    auto sessions = open_sqlite_session_store(dir / "state.db");
    REQUIRE(sessions);
    REQUIRE(sessions->put_aside);
    CHECK(std::filesystem::exists(*sessions->put_aside));
    CHECK(highest_session(*sessions->store) == 0);

    std::ofstream(dir / "fota.db") << std::string(10'000, 'x'); // the fleet's data are not put aside by themselves
    const auto store = open_sqlite_fota_store(dir / "fota.db");
    REQUIRE_FALSE(store);
    CHECK(store.err().kind == error_kind::corrupt);
    CHECK(store.err().text.find((dir / "fota.db").string()) != std::string::npos);
}

TEST_CASE("when the disk ends every outcome of the batch is unavailable and nothing was applied") {
    const scratch_dir dir;
    auto store = opened_fota(dir / "fota.db");
    auto sessions = open_sqlite_session_store(dir / "state.db");
    REQUIRE(sessions);
    {
        const fb::test::file_size_limit limit(256 * 1024);
        const fota_operation ops[] = {report_of("a"), report_of("b", 1'000'000), report_of("c")};
        for (const auto& outcome : store->apply(ops)) {
            REQUIRE_FALSE(outcome);
            CHECK(outcome.err().kind == error_kind::unavailable);
            CHECK(outcome.err().retryable());
        }
        CHECK(store->apply(ops)[0].err().text ==
              (dir / "fota.db").string() + ": disk I/O error: File too large (raise the limit on the size of files)");
        enqueue large;
        large.message.id = 1;
        const std::string payload(1'000'000, 'x');
        large.message.payload = payload;
        large.row = {1, 1, 1, 1, false, 0, delivery_state::queued, {}};
        const session_operation batch[] = {session_of(1), large};
        const auto applied = sessions->store->apply(batch);
        REQUIRE_FALSE(applied);
        CHECK(applied.err().kind == error_kind::unavailable);
    }
    auto reader = store->open_reader();
    CHECK((*reader)->list_devices({})->items.empty());
    CHECK(highest_session(*sessions->store) == 0);
    const fota_operation again = report_of("a"); // and with room again everything goes on
    CHECK(store->apply({&again, 1})[0]);
    const session_operation put = session_of(2);
    CHECK(sessions->store->apply({&put, 1}));
    CHECK(raw_sql(dir / "fota.db", "PRAGMA integrity_check") == "ok");
}

TEST_CASE("a store whose file is locked for long is busy, one that cannot be created is unavailable") {
    const scratch_dir dir;
    auto store = opened_fota(dir / "fota.db");
    auto first = sqlite::connection::open(dir / "fota.db", {});
    auto second = sqlite::connection::open(dir / "fota.db", {.busy_timeout = std::chrono::milliseconds(10)});
    REQUIRE((*first)->exec("BEGIN IMMEDIATE"));
    CHECK((*second)->exec("BEGIN IMMEDIATE").err().kind == error_kind::busy);
    REQUIRE((*first)->exec("ROLLBACK"));
    CHECK(open_sqlite_fota_store(dir / "no/such/fota.db").err().kind == error_kind::unavailable);
}

TEST_CASE("a reader cannot write, and one whose query takes too long gives up as busy") {
    const scratch_dir dir;
    opened_fota(dir / "fota.db");
    auto reader =
        sqlite::connection::open(dir / "fota.db", {.time_limit = std::chrono::milliseconds(20), .query_only = true});
    REQUIRE(reader);
    const auto write = (*reader)->exec("DELETE FROM devices");
    REQUIRE_FALSE(write);
    CHECK(write.err().kind == error_kind::unavailable);
    sqlite::query endless(**reader,
                          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n");
    CHECK_FALSE(endless.next());
    CHECK(endless.ended().err().kind == error_kind::busy);
    CHECK(sqlite::connection::open(dir / "none.db", {.query_only = true}).err().kind == error_kind::unavailable);
}

TEST_CASE("tables that are not ours are a schema error") {
    const scratch_dir dir;
    auto store = opened_fota(dir / "fota.db");
    raw_sql(dir / "fota.db", "DROP TABLE idempotency_keys");
    const fota_operation ops[] = {report_of("a"), prune_idempotency{}};
    const auto outcomes = store->apply(ops);
    CHECK(outcomes[0].err().kind == error_kind::schema);
    CHECK(outcomes[1].err().kind == error_kind::schema);
}

TEST_CASE("session messages and clearings leave no rows behind") {
    const scratch_dir dir;
    {
        auto sessions = open_sqlite_session_store(dir / "state.db");
        REQUIRE(sessions);
        std::vector<session_operation> ops{session_of(1)};
        for (std::uint64_t i = 1; i <= 100; ++i) {
            enqueue queued;
            queued.message.id = i;
            queued.row = {i % 2, i, i, 1, false, 0, delivery_state::queued, {}}; // half of them for session 0, unknown
            ops.push_back(queued);
            ops.push_back(put_retained{i, "t" + std::to_string(i), {}});
        }
        REQUIRE(sessions->store->apply(ops));
        ops.clear();
        for (std::uint64_t i = 1; i <= 100; i += 2) ops.push_back(dequeue{1, i});
        REQUIRE(sessions->store->apply(ops));
        session_loader start;
        start.on_session = [](const session_record&) {};
        CHECK(sessions->store->load(start)); // a start removes what belongs to nobody
    }
    CHECK(raw_sql(dir / "state.db", "SELECT count(*) FROM messages") == "0");
    CHECK(raw_sql(dir / "state.db", "SELECT count(*) FROM queue") == "0");
    CHECK(raw_sql(dir / "state.db", "SELECT count(*) FROM retained") == "0");
    CHECK(raw_sql(dir / "state.db", "PRAGMA integrity_check") == "ok");
}
