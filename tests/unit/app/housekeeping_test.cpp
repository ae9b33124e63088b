// What is deleted for its age or number, and what never is. The thread looks as soon as it begins; tests wait for what
// it does, or ask it to stop, which it does between two looks.
#include <atomic>
#include <doctest/doctest.h>

#include <fstream>
#include <thread>

#include "broker/app/housekeeping.hpp"
#include "storage/open.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace fb;
using namespace std::chrono_literals;
using storage::timestamp;

namespace {

timestamp this_moment() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

struct household {
    std::unique_ptr<storage::fota_store> store = storage::make_memory_fota_store();
    test::scratch_dir dir;
    storage::blob_files blobs = *storage::blob_files::open(dir / "blobs");
    std::size_t batches = 0, batch_rows_max = 0;

    void apply(const storage::fota_operation& op) { REQUIRE(store->apply({&op, 1}).front()); }

    storage::device device(const std::string& name) {
        storage::device d;
        d.id = storage::new_id<storage::device_uuid>(this_moment());
        d.device_id = name;
        apply(storage::record_report{d, {}, {}, {}});
        return d;
    }
    void result(const storage::device& d, timestamp at) {
        storage::update_result r;
        r.id = storage::new_id<storage::result_uuid>(at);
        r.device_id = d.id;
        r.received_at = at;
        r.event_key = to_string(r.id);
        apply(storage::record_report{{}, {}, r, {}});
    }
    std::size_t results() {
        const auto reader = store->open_reader();
        storage::list_query all;
        all.limit = 500;
        std::size_t count = 0;
        do {
            auto page = (*reader)->list_results(all);
            REQUIRE(page);
            count += page->items.size();
            all.cursor = page->next;
        } while (all.cursor);
        return count;
    }
    void token(int number, timestamp at) {
        storage::api_token t;
        t.id = storage::new_id<storage::token_uuid>(this_moment());
        t.name = t.hash = std::to_string(number);
        apply(storage::save_token{t, storage::audit_entry{at, "cli", "token.create", {}, {}}});
    }
    std::vector<storage::audit_row> audit_log() {
        const auto reader = store->open_reader();
        return *(*reader)->audit_rows(0, 10'000);
    }
    std::string blob(char digit, std::chrono::hours age) {
        const std::string name(64, digit);
        auto writer = blobs.create();
        REQUIRE(writer->write("content"));
        REQUIRE(writer->commit(name));
        std::filesystem::last_write_time(blobs.path_of(name), std::filesystem::file_time_type::clock::now() - age);
        return name;
    }

    app::housekeeping::permissions may;

    /// One look, begun and ended. `wait_for` says what it must have led to.
    template <class Condition>
    void look(const app::retention_config& keep, Condition wait_for) {
        app::housekeeping h(
            keep, *store, blobs,
            [this](storage::fota_operation op, auto done) {
                ++batches;
                const auto& pruned = std::get<storage::prune_history>(op);
                batch_rows_max = std::max(batch_rows_max, pruned.results.size() + pruned.events.size());
                done(store->apply({&op, 1}).front());
            },
            may);
        while (!wait_for()) std::this_thread::sleep_for(1ms);
    }
};

app::retention_config keeping(int days, std::int64_t rows) {
    app::retention_config keep;
    keep.results = std::chrono::days(days);
    keep.results_max = rows;
    return keep;
}

} // namespace

TEST_CASE("results beyond their age go, in bounded batches, and the newest of each device stays") {
    household h;
    for (const char* name : {"a", "b"}) {
        const auto d = h.device(name);
        for (int i = 0; i < 600; ++i) h.result(d, this_moment() - 48h - std::chrono::seconds(i));
    }
    h.look(keeping(1, 0), [&] { return h.results() == 2; });
    CHECK(h.batches == 3);
    CHECK(h.batch_rows_max == 500);
}

TEST_CASE("results beyond their number go, the oldest first") {
    household h;
    const auto d = h.device("a");
    for (int i = 0; i < 50; ++i) h.result(d, this_moment() - std::chrono::minutes(i));
    h.look(keeping(0, 20), [&] { return h.results() == 20; });
    const auto reader = h.store->open_reader();
    const auto left = (*reader)->list_results({});
    CHECK(left->items.back().row.received_at > this_moment() - 21min);
}

TEST_CASE("what is not permitted stays: another gateway's work, and files whose rows may be elsewhere") {
    household h;
    const auto d = h.device("a");
    for (int i = 0; i < 2; ++i) h.result(d, this_moment() - 48h);
    const auto name = h.blob('a', 2h);
    std::atomic<bool> asked{false};
    h.may.remove_files = [] { return false; };
    h.may.prune = [&] {
        asked = true; // after the files
        return false;
    };
    h.look(keeping(1, 0), [&] { return asked.load(); });
    CHECK(h.results() == 2);
    CHECK(h.blobs.exists(name));
}

TEST_CASE("with 0 for both nothing ever goes") {
    household h;
    const auto d = h.device("a");
    for (int i = 0; i < 5; ++i) h.result(d, timestamp{} + std::chrono::hours(i));
    const std::string orphan = h.blob('a', 2h);
    h.token(1, timestamp{});
    h.token(2, this_moment());
    auto all = keeping(0, 0);
    all.audit = {};
    all.audit_max = 0;
    h.look(all, [&] { return !h.blobs.exists(orphan); }); // the look has begun: files come first
    CHECK(h.audit_log().size() == 2);
    CHECK(h.results() == 5);
    CHECK(h.batches == 0);
}

TEST_CASE("the audit log loses its oldest by age, in bounded steps, but not what follows a newer one, nor its end") {
    household h;
    for (int i = 0; i < 700; ++i) h.token(i, this_moment() - 48h);
    h.token(700, this_moment());
    h.token(701, this_moment() - 48h); // of a clock that was wrong
    h.token(702, this_moment());
    app::retention_config keep;
    keep.audit = std::chrono::days(1);
    h.look(keep, [&] { return h.audit_log().size() <= 3; });
    CHECK(h.batches == 2);
    CHECK(h.audit_log().front().seq == 701);
    household old;
    for (int i = 0; i < 2; ++i) old.token(i, this_moment() - 48h);
    old.look(keep, [&] { return old.audit_log().size() == 1; });
    CHECK(old.audit_log().front().seq == 2);
}

TEST_CASE("the audit log loses its oldest beyond its number") {
    household h;
    for (int i = 0; i < 50; ++i) h.token(i, this_moment());
    app::retention_config keep;
    keep.audit_max = 20;
    h.look(keep, [&] { return h.audit_log().size() <= 20; });
    CHECK(h.audit_log().size() == 20);
    CHECK(h.audit_log().back().seq == 50);
}

TEST_CASE("files that no row names go when they are an hour old") {
    household h;
    const std::string orphan = h.blob('a', 2h), fresh = h.blob('b', 0h), needed = h.blob('c', 2h);
    std::ofstream(h.dir / "blobs/.incoming-left") << "half";
    std::filesystem::last_write_time(h.dir / "blobs/.incoming-left",
                                     std::filesystem::file_time_type::clock::now() - 2h);
    storage::firmware f;
    f.id = storage::new_id<storage::firmware_uuid>(this_moment());
    f.url = "/fw/x";
    f.checksum = "sha256:" + needed;
    f.state = storage::firmware_state::revoked;
    h.apply(storage::save_firmware{f});
    h.look({}, [&] { return !h.blobs.exists(orphan) && !std::filesystem::exists(h.dir / "blobs/.incoming-left"); });
    CHECK(h.blobs.exists(fresh));
    CHECK(h.blobs.exists(needed));
}
