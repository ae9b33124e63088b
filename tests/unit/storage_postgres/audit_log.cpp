// Several gateways write one audit log: each of their entries follows the one before it, whoever wrote that.
#include <atomic>
#include <thread>

#include "postgres_world.hpp"
#include "storage/audit.hpp"

using namespace fb::test;

namespace {

/// What an operator does, with a row that nobody else touches, or with one that everybody does.
fota_operation logged_token(const std::string& name) {
    api_token t;
    t.id = new_id<token_uuid>(test_time);
    t.name = name;
    t.role = "viewer";
    t.hash = to_string(t.id);
    return save_token{t, audit_entry{test_time, "cli", "token.create", name, {}}};
}
fota_operation logged_patch(const std::string& name) {
    return patch_device{"dev", name, {}, {}, {}, audit_entry{test_time, "olga", "device.patch", "dev", name}};
}

std::vector<audit_row> rows_of(fota_store& store) {
    const auto rows = (*store.open_reader())->audit_rows(0, 10'000);
    REQUIRE_MESSAGE(rows, rows.err().text);
    return *rows;
}

std::string faults_of(const std::vector<audit_row>& rows) {
    audit_chain chain;
    std::string out;
    for (const auto& row : rows)
        if (const auto fault = chain.fault_in(row)) out += *fault + "\n";
    return out;
}

/// As in docs/storage.md.
constexpr const char* rows_that_break_it =
    "SELECT seq FROM (SELECT *, lag(hash) OVER (ORDER BY seq) AS before FROM audit_log) a WHERE previous_hash <> "
    "before "
    "OR hash <> encode(sha256(convert_to((SELECT string_agg(coalesce(octet_length(x) || ':' || x, '-') || ',', '' "
    "ORDER "
    "BY n) FROM unnest(ARRAY[previous_hash, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), "
    "actor, "
    "action, subject, detail]) WITH ORDINALITY AS part (x, n)), 'UTF8')), 'hex') ORDER BY seq";

} // namespace

TEST_CASE("two writers at the same moment do not fork the chain") {
    const auto s = fresh_settings();
    const auto a = opened(s), b = opened(s);
    REQUIRE(words_of(*a, {registration("dev")}) == "done");
    constexpr int rounds = 40;
    std::atomic<int> failed{0};
    const auto write = [&](fota_store& store, const std::string& who) {
        for (int i = 0; i < rounds; ++i) {
            const auto name = who + std::to_string(i);
            if (words_of(store, {logged_token(name), registration("dev-" + name), logged_patch(name)}) !=
                "done done done")
                ++failed;
        }
    };
    std::thread first([&] { write(*a, "a"); }), second([&] { write(*b, "b"); });
    first.join();
    second.join();
    CHECK(failed == 0);
    const auto rows = rows_of(*a);
    REQUIRE(rows.size() == 4 * rounds);
    CHECK(faults_of(rows) == "");
    for (std::size_t i = 0; i < rows.size(); ++i) CHECK(rows[i].seq == std::int64_t(i) + 1);
}

TEST_CASE("an entry is logged when its batch has to be done one by one, in the order of the operations") {
    const auto s = fresh_settings();
    const auto store = opened(s);
    REQUIRE(words_of(*store, {registration("dev")}) == "done");
    update orphan;
    orphan.id = new_id<update_uuid>(test_time);
    orphan.state = update_state::pending;
    const create_update fails{orphan, {}, {}, {}, audit_entry{test_time, "olga", "update.trigger", {}, {}}};
    CHECK(words_of(*store, {logged_token("a"), fails, logged_patch("b")}) == "done invalid done");
    const auto rows = rows_of(*store);
    REQUIRE(rows.size() == 2);
    CHECK(rows[0].entry.action == "token.create");
    CHECK(rows[1].entry.action == "device.patch");
    CHECK(faults_of(rows) == "");
}

TEST_CASE("an entry that cannot be stored keeps its operation from being done") {
    const auto s = fresh_settings();
    const auto store = opened(s);
    const patch_device odd{"dev", "name", {}, {}, {}, audit_entry{test_time, "olga", "device.patch", {}, "\xFF"}};
    REQUIRE(words_of(*store, {registration("dev")}) == "done");
    CHECK(words_of(*store, {odd, logged_token("a")}) == "invalid done");
    sql_in(s, "ALTER TABLE audit_log ADD CHECK (action <> 'device.patch')");
    CHECK(words_of(*store, {logged_patch("b")}) == "unavailable");
    CHECK(sql_in(s, "SELECT name IS NULL FROM devices") == "t");
    CHECK(rows_of(*store).size() == 1);
}

TEST_CASE("psql alone finds what breaks the chain") {
    const auto s = fresh_settings();
    const auto store = opened(s);
    REQUIRE(words_of(*store, {registration("dev")}) == "done");
    for (const char* name : {"a", "\xC3\x9C:5,", "", "d", "e"})
        REQUIRE(words_of(*store, {logged_patch(name), logged_token(std::string("t") + name)}) == "done done");
    CHECK(sql_in(s, rows_that_break_it) == "");
    sql_in(s, "UPDATE audit_log SET detail = NULL WHERE seq = 5");
    CHECK(sql_in(s, rows_that_break_it) == "5");
    sql_in(s, "UPDATE audit_log SET detail = '' WHERE seq = 5; DELETE FROM audit_log WHERE seq = 8");
    CHECK(sql_in(s, rows_that_break_it) == "9");
    CHECK(faults_of(rows_of(*store)).find("row 9 does not follow row 7") != std::string::npos);
}
