// Copies of a database while it is written to: everything from before, and of what comes later the beginning, without
// a gap. Over the redo log and over files that other connections write.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "storage/open.hpp"
#include "storage/redo/redo_store.hpp"
#include "storage/sqlite/online_copy.hpp"
#include "tests/support/raw_sqlite.hpp"
#include "tests/support/scratch_dir.hpp"
#include "tests/support/stored_lines.hpp"

using namespace fb::storage;
using fb::test::scratch_dir;

namespace {

enqueue queued_bytes(std::uint64_t sequence, std::size_t payload_bytes) {
    static const std::string payload(100'000, 'p');
    enqueue op;
    op.row.session = 1;
    op.row.sequence = sequence;
    op.row.message = sequence;
    op.message.id = sequence;
    op.message.topic = "t";
    op.message.payload = std::string_view(payload).substr(0, payload_bytes);
    return op;
}

put_session the_session() {
    put_session op;
    op.row.number = 1;
    op.row.client_id = "sleeper";
    return op;
}

/// Segments so short that checkpoints go on all the time.
std::unique_ptr<redo::redo_store> open_in(const scratch_dir& dir, bool thread) {
    auto base = open_sqlite_session_store(dir / "state.db");
    REQUIRE(base);
    auto files = redo::open_segment_directory(dir / "redo");
    REQUIRE(files);
    auto store = std::make_unique<redo::redo_store>(std::move(base->store), std::move(*files),
                                                    redo::settings{64 * 1024, 4, thread});
    REQUIRE(store->recover());
    return store;
}

/// The sequences that the copy has in its queue.
std::vector<std::uint64_t> sequences_in(const std::filesystem::path& file) {
    auto copy = open_sqlite_session_store(file);
    REQUIRE(copy);
    REQUIRE_FALSE(copy->put_aside);
    std::vector<std::uint64_t> out;
    session_loader loader;
    loader.on_queued = [&](queue_record r, const message_record&) { out.push_back(r.sequence); };
    REQUIRE(copy->store->load(loader));
    return out;
}

const redo::copy_progress quiet = [](std::uint64_t, std::uint64_t) { return true; };

} // namespace

TEST_CASE("a copy has what the log has, too") {
    for (const bool thread : {true, false}) {
        const scratch_dir dir;
        const auto store = open_in(dir, thread);
        REQUIRE(store->apply(std::vector<session_operation>{the_session(), queued_bytes(1, 10), queued_bytes(2, 10)}));
        REQUIRE(store->copy_to(dir / "copy", quiet));
        CHECK(sequences_in(dir / "copy") == std::vector<std::uint64_t>{1, 2});
        REQUIRE(store->apply(std::vector<session_operation>{dequeue{1, 1}, queued_bytes(3, 10)}));
        REQUIRE(store->copy_to(dir / "later", quiet));
        CHECK(sequences_in(dir / "later") == std::vector<std::uint64_t>{2, 3});
        CHECK(sequences_in(dir / "copy") == std::vector<std::uint64_t>{1, 2});
    }
}

TEST_CASE("a copy that is made while commits go on misses none from before, and has no gap") {
    const scratch_dir dir;
    const auto store = open_in(dir, true);
    REQUIRE(store->apply(std::vector<session_operation>{the_session()}));
    std::atomic<std::uint64_t> committed{0};
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        for (std::uint64_t i = 1; !stop; ++i) {
            if (!store->apply(std::vector<session_operation>{queued_bytes(i, 5000)})) return;
            committed = i;
        }
    });
    for (int round = 0; round < 5; ++round) {
        while (committed < static_cast<std::uint64_t>(round + 1) * 100) std::this_thread::yield();
        const std::uint64_t before = committed;
        const auto file = dir / ("copy" + std::to_string(round));
        const auto copied = store->copy_to(file, quiet);
        CHECK(copied);
        if (!copied) break;
        const auto there = sequences_in(file);
        CHECK(there.size() >= before);
        CHECK((there.empty() || there.back() == there.size()));
    }
    stop = true;
    writer.join();
}

TEST_CASE("a copy that is not wanted any more, or has no room, leaves no file") {
    for (const bool thread : {true, false}) {
        const scratch_dir dir;
        const auto store = open_in(dir, thread);
        std::vector<session_operation> all{the_session()};
        for (std::uint64_t i = 1; i <= 40; ++i) all.push_back(queued_bytes(i, 100'000)); // more than one step
        REQUIRE(store->apply(all));
        CHECK_FALSE(store->copy_to(dir / "copy", [](std::uint64_t, std::uint64_t) { return false; }));
        CHECK_FALSE(std::filesystem::exists(dir / "copy"));
        CHECK_FALSE(store->copy_to(dir / "no/such/folder", quiet));
        REQUIRE(store->copy_to(dir / "copy", quiet));
        const auto again = store->copy_to(dir / "copy", quiet);
        REQUIRE_FALSE(again);
        CHECK(again.err().text.find("exists") != std::string::npos);
        CHECK(sequences_in(dir / "copy").size() == 40);
        CHECK(store->apply(std::vector<session_operation>{queued_bytes(41, 10)}));
    }
}

TEST_CASE("a copy of a file is of the moment it was begun, whoever writes meanwhile") {
    const scratch_dir dir;
    const auto store = open_sqlite_fota_store(dir / "fota.db");
    REQUIRE(store);
    const auto device_named = [](const std::string& name) {
        device d;
        d.id = new_id<device_uuid>(timestamp{});
        d.device_id = name;
        d.attributes = "{\"x\":\"" + std::string(20'000, 'x') + "\"}";
        return record_report{d, {}, {}, {}};
    };
    std::vector<fota_operation> first;
    for (int i = 0; i < 100; ++i) first.push_back(device_named("first-" + std::to_string(i)));
    for (const auto& outcome : (*store)->apply(first)) REQUIRE(outcome);
    auto copy = sqlite::copy_of_now(dir / "fota.db", dir / "copy");
    REQUIRE(copy);
    int steps = 0;
    for (auto more = (*copy)->step();; more = (*copy)->step()) {
        REQUIRE(more);
        if (!*more) break;
        const std::vector<fota_operation> one{device_named("later-" + std::to_string(++steps))};
        REQUIRE((*store)->apply(one).front());
        CHECK((*copy)->bytes_done() < (*copy)->bytes_all());
    }
    CHECK(steps > 1);
    CHECK(fb::test::raw_sql(dir / "copy", "SELECT count(*) FROM devices") == "100");
    CHECK(fb::test::raw_sql(dir / "copy", "PRAGMA integrity_check") == "ok");
}
