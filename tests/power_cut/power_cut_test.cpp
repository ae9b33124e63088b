// What is acknowledged survives a power cut: a recorded load (load.hpp) over a disk in memory (disk.hpp), the disk as a
// cut between any two of its operations may leave it, and a start on what is left (judge.hpp).
//
// Runs a sample of the cuts; FB_LONG=1 all of them, FB_CUT_AT=<k> that one, and FB_CUT_SEED=<n> another load.
#include <doctest/doctest.h>

#include "cuts.hpp"
#include "judge.hpp"
#include "segments.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace fb;
using namespace fb::cut;

namespace {

constexpr int messages_min = 10'000;

/// The one recording that all tests here look at.
struct world {
    world() {
        files.insert(live);
        recorded = record_load(live, file, cut_seed(), messages_min);
    }
    test::scratch_dir directory; // has nothing but the empty file that the program makes before SQLite opens it
    std::filesystem::path file = directory / "state.db";
    std::filesystem::path segment(int i) const { return redo_folder(file) / ("segment-" + std::to_string(i)); }
    vfs files;
    disk live;
    recording recorded;
};

world& the_world() {
    static world w;
    return w;
}

/// How often the log has this done to the file of this name.
int count(const disk_log& log, disk_operation::kind what, const std::filesystem::path& name) {
    std::set<int> files;
    int n = 0;
    for (const disk_operation& op : log) {
        if (op.what == disk_operation::kind::create && op.data == name.string()) files.insert(op.file);
        n += op.what == what && files.contains(op.file);
    }
    return n;
}

} // namespace

TEST_CASE("the disk in memory promises SQLite no more than a real one") {
    const test::scratch_dir dir;
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open_v2((dir / "x.db").c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "unix") ==
            SQLITE_OK);
    REQUIRE(sqlite3_exec(db, "CREATE TABLE t (x)", nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_file* file = nullptr;
    REQUIRE(sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, static_cast<void*>(&file)) == SQLITE_OK);
    CHECK(vfs::promised_sector_bytes == file->pMethods->xSectorSize(file));
    CHECK((vfs::promised_characteristics & ~file->pMethods->xDeviceCharacteristics(file)) == 0);
    sqlite3_close(db);
}

TEST_CASE("the recorded load has everything in it") {
    const world& w = the_world();
    const recording& r = w.recorded;
    CHECK(r.messages >= messages_min);
    std::map<std::size_t, int> kinds;
    for (const commit& c : r.commits)
        for (const auto& op : c.operations) ++kinds[op.index()];
    CHECK(kinds.size() == std::variant_size_v<storage::session_operation>);
    const std::string wal = w.file.string() + "-wal";
    int log_syncs = 0, segments = 0;
    for (; count(r.log, disk_operation::kind::create, w.segment(segments)) > 0; ++segments)
        log_syncs += count(r.log, disk_operation::kind::sync, w.segment(segments));
    CHECK(segments >= 3);
    CHECK(log_syncs >= static_cast<int>(r.commits.size()));
    CHECK(count(r.log, disk_operation::kind::sync, wal) > 20);   // segments brought into the database
    CHECK(count(r.log, disk_operation::kind::sync, w.file) > 5); // SQLite's own checkpoints
    CHECK(count(r.log, disk_operation::kind::remove, wal) >= 3); // restarts
    MESSAGE(r.messages << " messages, " << r.commits.size() << " commits, " << r.promises.size() << " promises, "
                       << r.log.size() << " operations of the disk");
}

TEST_CASE("what is acknowledged is there after a power cut, and what was taken away is not") {
    world& w = the_world();
    const disk_log& log = w.recorded.log;
    judge j(w.files, w.file, w.recorded);
    power_cut power(log);
    std::size_t done = 0;
    for (const std::size_t k : cuts(log)) {
        const bool again = done++ % 4 == 0;
        INFO("FB_CUT_SEED=" << cut_seed() << " FB_CUT_AT=" << k << " of " << log.size());
        CHECK(j.verdict(power.after(k, cut_seed() + k), k, cut_seed() + k, again) == "");
    }
    CHECK(j.promises_checked() > done); // most cuts look at hundreds
}

TEST_CASE("a sync that does nothing is found out: of all files, of the redo log, of SQLite's log, of the database") {
    world& w = the_world();
    const std::string wal = w.file.string() + "-wal";
    const power_cut::lies_function all = [](const std::string&) { return true; };
    const std::string redo = redo_folder(w.file).string() + "/";
    const power_cut::lies_function of_redo_log = [&](const std::string& name) { return name.starts_with(redo); };
    const power_cut::lies_function of_log = [&](const std::string& name) { return name == wal; };
    const power_cut::lies_function of_database = [&](const std::string& name) { return name == w.file.string(); };
    for (const auto& lies : {all, of_redo_log, of_log, of_database}) {
        judge j(w.files, w.file, w.recorded);
        power_cut power(w.recorded.log, {}, lies);
        std::string found;
        for (const std::size_t k : cuts(w.recorded.log)) {
            found = j.verdict(power.after(k, cut_seed() + k), k, cut_seed() + k, false);
            if (!found.empty()) break;
        }
        CHECK(found != "");
    }
}
