// The redo log: what it keeps through crashes, torn and stale frames, disks and databases that refuse.
#include <algorithm>
#include <thread>

#include "random_life.hpp"
#include "redo_world.hpp"
#include "storage/redo/fold.hpp"
#include "storage/redo/operations.hpp"

using namespace fb::storage;
using fb::test::a_session;
using fb::test::queued;
using fb::test::random_life;
using fb::test::redo_world;

namespace {

constexpr std::size_t one_page = redo::page_bytes;

std::size_t count(const std::vector<std::string>& lines, std::string_view prefix) {
    return static_cast<std::size_t>(
        std::count_if(lines.begin(), lines.end(), [&](const auto& line) { return line.starts_with(prefix); }));
}

} // namespace

TEST_CASE("a crash loses nothing that was acknowledged, whatever was in the database by then") {
    for (unsigned seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        redo_world w;
        const auto truth = make_memory_session_store();
        random_life life(seed);
        for (int round = 0; round < 5; ++round) {
            for (int commits = 0; commits < 10; ++commits) {
                const auto operations = life.some();
                REQUIRE(w.apply(operations));
                REQUIRE(truth->apply(operations));
            }
            w.crash();
            CHECK(w.start() == "");
            REQUIRE(w.content() == fb::test::load(*truth).lines);
        }
    }
}

TEST_CASE("a crash while the log is brought into the database changes nothing") {
    redo_world w({512 * 1024, 2, false});
    std::vector<session_operation> operations{a_session(1)};
    for (std::uint64_t i = 1; i <= 6000; ++i) operations.push_back(queued(1, i, i));
    REQUIRE(w.apply(operations));
    REQUIRE(w.apply({dequeue{1, 1}, queued(1, 6001, 6001)}));
    const auto whole = [&] {
        redo_world twin({512 * 1024, 2, false});
        REQUIRE(twin.apply(operations));
        REQUIRE(twin.apply({dequeue{1, 1}, queued(1, 6001, 6001)}));
        return twin.content();
    }();
    w.crash();
    { // the first of several batches arrives, the rest does not
        fb::test::redo_base base(w.database);
        auto file = fb::test::redo_directory(w.files).open("segment-0");
        REQUIRE(file);
        const auto head = redo::read_head(**file);
        REQUIRE((head && *head));
        redo::checkpoint job(base, **file, **head, redo::no_serial);
        REQUIRE(job.step());
        REQUIRE(job.step());
        CHECK(w.database.applied == 0);
    }
    CHECK(w.start() == "");
    CHECK(w.content() == whole);
    CHECK(w.database.applied != 0);
}

TEST_CASE("a segment that cannot be read as it was seen is begun again") {
    redo_world w({64 * 1024, 2, false});
    REQUIRE(w.apply({a_session(1)}));
    REQUIRE(w.apply({queued(1, 1, 1)}));
    w.crash();
    fb::test::redo_base base(w.database);
    auto file = fb::test::redo_directory(w.files).open("segment-0");
    REQUIRE(file);
    const auto head = redo::read_head(**file);
    REQUIRE((head && *head));
    char& bit = (*w.files.bytes.at("segment-0"))[2 * one_page + 30]; // of the second frame
    for (const bool first_pass : {true, false}) {                    // it cannot be read then, or in the other one
        redo::checkpoint job(base, **file, **head, redo::no_serial);
        if (first_pass) bit ^= 1;
        REQUIRE(job.step());
        bit ^= 1;
        const auto refused = job.step();
        REQUIRE_FALSE(refused);
        CHECK(refused.err().kind == error_kind::unavailable);
        if (!first_pass) bit ^= 1;
    }
    CHECK(w.database.applied == 0);
    CHECK(w.start() == "");
    CHECK(count(w.content(), "queue 1 ") == 1);
}

TEST_CASE("what came and went within a segment never reaches the database") {
    redo_world w({4 << 20, 2, false});
    REQUIRE(w.apply({a_session(1)}));
    for (std::uint64_t i = 1; i <= 200; ++i) {
        REQUIRE(w.apply({queued(1, i, i)}));
        REQUIRE(w.apply({set_delivery{1, i, 7, delivery_state::sent}}));
        REQUIRE(w.apply({dequeue{1, i}, a_session(1)}));
    }
    CHECK(w.content().size() == 1);
    CHECK(w.store->count().operations == 1);
}

TEST_CASE("folding a segment leaves the database as all of its operations would") {
    for (unsigned seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        random_life life(seed);
        const auto all = make_memory_session_store(), folded = make_memory_session_store();
        for (int segment = 0; segment < 4; ++segment) {
            std::vector<session_operation> operations;
            for (int i = 0; i < 6; ++i)
                for (auto& op : life.some()) operations.push_back(std::move(op));
            redo::fold f;
            for (const auto& op : operations) f.look_at(op);
            std::vector<session_operation> needed;
            for (const auto& op : operations)
                if (f.needed(op)) needed.push_back(op);
            REQUIRE(all->apply(operations));
            REQUIRE(folded->apply(needed));
            REQUIRE(fb::test::load(*folded).lines == fb::test::load(*all).lines);
        }
    }
}

TEST_CASE("a torn last frame was never acknowledged and is not there; those before it are") {
    redo_world w({64 * 1024, 2, false});
    REQUIRE(w.apply({a_session(1)}));
    REQUIRE(w.apply({queued(1, 1, 1)}));
    const std::string long_payload(6000, 'x');
    REQUIRE(w.apply({queued(1, 2, 2, long_payload)})); // pages 3 and 4
    w.crash();
    std::string& bytes = *w.files.bytes.at("segment-0");
    SUBCASE("its first page is missing") { bytes.replace(3 * one_page, one_page, one_page, '\0'); }
    SUBCASE("its last page is missing") { bytes.replace(4 * one_page, one_page, one_page, '\0'); }
    SUBCASE("a bit is another") { bytes[3 * one_page + 100] ^= 1; }
    SUBCASE("the file ends in it") { bytes.resize(3 * one_page + 1000); }
    CHECK(w.start() == "");
    CHECK(count(w.content(), "queue 1 ") == 1);
}

TEST_CASE("a damaged frame before others is told of; the others are there, the log is kept for a look") {
    redo_world w;
    for (std::uint64_t i = 1; i <= 3; ++i) REQUIRE(w.apply({a_session(i)}));
    w.crash();
    (*w.files.bytes.at("segment-0"))[2 * one_page + 30] ^= 1; // of the second
    CHECK(w.start() == "segment 1: 1 commits cannot be read back; the rest is in the database, the log has been put "
                       "aside as elsewhere");
    CHECK(w.files.put_aside == 1);
    CHECK(count(w.content(), "session ") == 2);
    REQUIRE(w.apply({a_session(9)}));
    CHECK(count(w.content(), "session ") == 3);
}

TEST_CASE("a segment that lost its end before the next one is damage, too") {
    redo_world w({16 * 1024, 8, false}); // 3 commits in each
    for (std::uint64_t i = 1; i <= 8; ++i) REQUIRE(w.apply({a_session(i)}));
    w.crash();
    w.files.bytes.at("segment-0")->replace(3 * one_page, one_page, one_page, '\0');
    CHECK(w.start().starts_with("segment 1: 1 commits cannot be read back; "));
    CHECK(count(w.content(), "session ") == 7);
}

TEST_CASE("the log of another database is put aside, not mixed into this one") {
    redo_world w;
    REQUIRE(w.apply({a_session(1)}));
    w.crash();
    w.database.rows = make_memory_session_store();
    w.database.log = 2;
    CHECK(w.start() == "the log is another database's and has been put aside as elsewhere");
    CHECK(w.content().empty());
    REQUIRE(w.apply({a_session(2)}));
    w.crash();
    CHECK(w.start() == "");
    CHECK(count(w.content(), "session ") == 1);
}

TEST_CASE("a log whose first segments are gone is told of") {
    redo_world w({16 * 1024, 8, false}); // 3 commits in each
    for (std::uint64_t i = 1; i <= 8; ++i) REQUIRE(w.apply({a_session(i)}));
    w.crash();
    w.files.bytes.erase("segment-0");
    CHECK(w.start() == "segments 1 to 1 are missing; the rest is in the database, the log has been put aside as "
                       "elsewhere");
    CHECK(count(w.content(), "session ") == 5);
}

TEST_CASE("a new file never takes the name of one that is there") {
    redo_world w({16 * 1024, 4, false});
    for (std::uint64_t i = 1; i <= 5; ++i) REQUIRE(w.apply({a_session(i)})); // segments 0 and 1
    w.crash();
    w.files.bytes["segment-7"] = w.files.bytes.at("segment-1");
    w.files.bytes.erase("segment-1");
    CHECK(w.start() == "");
    for (std::uint64_t i = 6; i <= 20; ++i) REQUIRE(w.apply({a_session(i)}));
    CHECK(w.files.bytes.contains("segment-7"));
    CHECK(count(w.content(), "session ") == 20);
}

TEST_CASE("what an earlier use of the file left, and what a client sends, is not taken for a frame") {
    redo_world w({16 * 1024, 1, false});
    for (std::uint64_t i = 1; i <= 20; ++i) {
        REQUIRE(w.apply({a_session(1)}));
        // A whole page of the file as it is now, frame and all, as a payload: a client could know it.
        const std::string page_now = w.files.bytes.at("segment-0")->substr(one_page, one_page);
        if (i % 3 == 1) REQUIRE(w.apply({queued(1, i, i, page_now)}));
        if (i % 3 == 0) REQUIRE(w.apply({delete_session{1}}));
    }
    REQUIRE(w.apply({delete_session{1}}));
    w.crash();
    CHECK(w.start() == "");
    CHECK(count(w.content(), "session ") == 0);
}

TEST_CASE("a disk that refuses a commit refuses the whole of it, and it succeeds when tried again") {
    redo_world w;
    REQUIRE(w.apply({a_session(1)}));
    bool written = false;
    SUBCASE("at once") {}
    SUBCASE("when it is asked to sync") { written = true; }
    (written ? w.files.write_and_refuse : w.files.refuse) = true;
    const auto refused = w.apply({queued(1, 1, 1)});
    REQUIRE_FALSE(refused);
    CHECK(refused.err().text == "the disk is broken");
    SUBCASE("power goes before it works again") {
        w.crash();
        w.files.write_and_refuse = w.files.refuse = false;
        CHECK(w.start() == "");
        CHECK(count(w.content(), "queue") == (written ? 1 : 0)); // not acknowledged: both are right
    }
    SUBCASE("it works again, the message goes, and power goes") {
        w.files.write_and_refuse = w.files.refuse = false;
        REQUIRE(w.apply({queued(1, 1, 1)}));
        REQUIRE(w.apply({dequeue{1, 1}}));
        w.crash();
        CHECK(w.start() == "");
        CHECK(count(w.content(), "queue") == 0);
    }
}

TEST_CASE("when all files are full and the database refuses, so does the log, and goes on with it") {
    redo_world w({16 * 1024, 2, true});
    w.database.refuse = true;
    std::uint64_t number = 0;
    auto last = w.apply({a_session(++number)});
    while (last && number < 1000) last = w.apply({a_session(++number)});
    REQUIRE_FALSE(last);
    CHECK(last.err().text == "the database is full");
    CHECK(w.store->trouble() == "the database is full");
    w.database.refuse = false;
    while (!last) {
        std::this_thread::yield();
        last = w.apply({a_session(number)});
    }
    CHECK(count(w.content(), "session ") == number);
    CHECK(w.store->trouble() == "");
}

TEST_CASE("a disk that has no room for another file is lived with by using those that are there") {
    redo_world w({16 * 1024, 4, false});
    REQUIRE(w.apply({a_session(1)}));
    w.files.full = true;
    for (std::uint64_t i = 2; i <= 30; ++i) REQUIRE(w.apply({a_session(i)}));
    CHECK(w.files.bytes.size() == 1);
    CHECK(count(w.content(), "session ") == 30);
}

TEST_CASE("an orderly end leaves nothing for the next start to do") {
    redo_world w;
    for (std::uint64_t i = 1; i <= 30; ++i) REQUIRE(w.apply({a_session(i)}));
    w.store.reset();
    w.database.batches.clear();
    CHECK(w.start() == "");
    CHECK(w.database.batches.empty());
    CHECK(count(w.content(), "session ") == 30);
}

TEST_CASE("a message's content is written once per commit") {
    const std::string payload(500, 'x');
    std::vector<session_operation> one{queued(1, 1, 5, payload)}, two = one;
    two.push_back(queued(2, 1, 5, payload));
    std::string once, twice;
    redo::encode(one, once);
    redo::encode(two, twice);
    CHECK(twice.size() < once.size() + 20);
    redo::operation_reader in(twice);
    in.next();
    const auto second = in.next();
    REQUIRE(second);
    CHECK(std::get<enqueue>(*second).message.payload.size() == 500);
    CHECK_FALSE(in.next());
    CHECK(in.ok());
}

TEST_CASE("operations that are cut off or changed are refused, not misread beyond their bytes") {
    std::string bytes;
    random_life life(3);
    redo::encode(life.some(), bytes);
    redo::encode(std::vector<session_operation>{queued(1, 9, 9), a_session(3)}, bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        redo::operation_reader in(std::string_view(bytes).substr(0, size));
        while (in.next()) {
        }
    }
    std::string other = bytes;
    other[0] = 99;
    redo::operation_reader in(other);
    CHECK_FALSE(in.next());
    CHECK_FALSE(in.ok());
}
