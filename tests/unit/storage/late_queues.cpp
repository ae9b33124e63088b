// A start in two parts: everything but the queues, as if the log were in the database already; then the log, and the
// queues one by one, while new commits come.
#include <algorithm>
#include <fstream>
#include <set>
#include <thread>

#include "random_life.hpp"
#include "redo_world.hpp"
#include "storage/aside.hpp"
#include "tests/support/raw_sqlite.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace fb::storage;
using namespace fb::test;

namespace {

constexpr auto later = redo::redo_store::bring_in::later;

/// What a broker would do of it: a session is put before anything else is done with it, and its number is used once.
class orderly_life {
  public:
    explicit orderly_life(unsigned seed)
        : life_(seed) {}

    std::vector<session_operation> some() {
        std::vector<session_operation> out;
        for (session_operation& op : life_.some()) {
            if (const auto* put = std::get_if<put_session>(&op)) {
                if (!gone_.contains(put->row.number)) there_.insert(put->row.number);
            }
            const std::uint64_t session = std::visit([](const auto& o) { return session_of(o); }, op);
            if (session != 0 && !there_.contains(session)) continue;
            if (std::holds_alternative<delete_session>(op)) {
                there_.erase(session);
                gone_.insert(session);
            }
            out.push_back(std::move(op));
        }
        return out;
    }

  private:
    static std::uint64_t session_of(const put_session& o) { return o.row.number; }
    static std::uint64_t session_of(const delete_session& o) { return o.number; }
    static std::uint64_t session_of(const put_subscription& o) { return o.row.session; }
    static std::uint64_t session_of(const enqueue& o) { return o.row.session; }
    static std::uint64_t session_of(const put_retained&) { return 0; }
    template <class Other>
    static std::uint64_t session_of(const Other& o) {
        return o.session;
    }

    random_life life_;
    std::set<std::uint64_t> there_, gone_;
};

put_session named(std::uint64_t number, const std::string& client_id) {
    put_session op = a_session(number);
    op.row.client_id = client_id;
    return op;
}

put_retained kept(std::uint64_t version, const char* topic, std::uint64_t id) {
    put_retained op;
    op.version = version;
    op.topic = topic;
    if (id != 0) op.message = queued(0, 0, id).message;
    op.message.topic = topic;
    return op;
}

} // namespace

TEST_CASE("both parts together are what there is, wherever a crash left it") {
    for (unsigned seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        redo_world w({16 * 1024, 8, false});
        const auto truth = make_memory_session_store();
        orderly_life life(seed);
        const auto commit = [&](int commits) {
            for (; commits > 0; --commits) {
                const auto operations = life.some();
                REQUIRE(w.apply(operations));
                REQUIRE(truth->apply(operations));
            }
        };
        commit(10);
        for (int round = 0; round < 4; ++round) {
            w.crash();
            CHECK(w.start(later) == "");
            const auto content = load(*truth);
            const auto part = load_first_part(*w.store);
            CHECK(part.all.counters.session >= content.counters.session);
            CHECK(part.all.counters.message >= content.counters.message);
            CHECK(part.all.counters.retained_version >= content.counters.retained_version);
            if (round == 1) continue; // again before the second part
            if (round == 2) commit(1);
            REQUIRE(w.store->prepare_queues());
            REQUIRE(with_queues(*w.store, part) == sorted(content.lines));
            REQUIRE(w.store->end_loading());
            commit(10);
        }
        REQUIRE(sorted(w.content()) == sorted(load(*truth).lines));
    }
}

TEST_CASE("what is committed meanwhile stays out of the database until the queues are read") {
    redo_world w({16 * 1024, 4, true});
    REQUIRE(w.apply({a_session(1), queued(1, 1, 1), queued(1, 2, 2)}));
    w.crash();
    CHECK(w.start(later) == "");
    const auto part = load_first_part(*w.store);
    REQUIRE(part.waiting.size() == 1);
    CHECK(part.waiting[0].messages == 2);
    std::uint64_t id = 10;
    for (int commits = 0; commits < 8; ++commits) REQUIRE(w.apply({queued(1, id, id), dequeue{1, id++}}));
    REQUIRE(w.apply({delete_session{1}})); // the log is full enough by now for the oldest segment to be due
    REQUIRE(w.store->prepare_queues());
    CHECK(with_queues(*w.store, part).size() == 3);
    REQUIRE(w.store->end_loading());
    CHECK(w.content().empty());
}

TEST_CASE("a commit that finds the log full waits for what was there at the start, and no longer") {
    redo_world w({16 * 1024, 2, true});
    REQUIRE(w.apply({a_session(1)}));
    for (std::uint64_t i = 1; i <= 5; ++i) REQUIRE(w.apply({queued(1, i, i)})); // both segments have some
    w.crash();
    CHECK(w.start(later) == "");
    const auto part = load_first_part(*w.store);
    std::thread publisher([&] { CHECK(w.apply({queued(1, 6, 6)})); });
    REQUIRE(w.store->prepare_queues());
    publisher.join();
    CHECK(with_queues(*w.store, part).size() == 6);
    w.store->give_up_loading();
    CHECK(w.content().size() == 7);
}

TEST_CASE("a database that refuses the log is told, and tried again") {
    redo_world w;
    REQUIRE(w.apply({a_session(1), queued(1, 1, 1)}));
    w.crash();
    CHECK(w.start(later) == "");
    const auto part = load_first_part(*w.store);
    w.database.refuse = true;
    const auto refused = w.store->prepare_queues();
    REQUIRE_FALSE(refused);
    CHECK(w.store->trouble() == refused.err().text);
    w.database.refuse = false;
    REQUIRE(w.store->prepare_queues());
    CHECK(w.store->trouble() == "");
    CHECK(with_queues(*w.store, part).size() == 2);
}

TEST_CASE("a damaged log is brought in at once, and put aside") {
    redo_world w({16 * 1024, 4, false});
    REQUIRE(w.apply({a_session(1)}));
    REQUIRE(w.apply({queued(1, 1, 1)}));
    REQUIRE(w.apply({queued(1, 2, 2)}));
    w.crash();
    w.files.bytes["segment-0"]->at(2 * redo::page_bytes + 30) ^= 1;
    CHECK(w.start(later).find("1 commits cannot be read back") != std::string::npos);
    CHECK(w.files.put_aside == 1);
    const auto part = load_first_part(*w.store);
    REQUIRE(w.store->prepare_queues());
    CHECK(with_queues(*w.store, part).size() == 2);
}

TEST_CASE("the log's word on sessions and retained topics counts, where it is the later one") {
    redo_world w;
    REQUIRE(w.apply({named(1, "a"), put_subscription{{1, "f", 1, 0}}, put_received{1, 7}, queued(1, 1, 1),
                     named(2, "b"), queued(2, 1, 2), put_subscription{{2, "g", 1, 0}}, kept(5, "newer", 3),
                     kept(6, "gone", 4), kept(9, "late", 5), kept(10, "cleared", 6), kept(11, "cleared", 0)}));
    w.content(); // in the database now
    REQUIRE(w.apply({named(3, "a"), delete_subscription{2, "g"}, put_subscription{{2, "h", 1, 0}}, dequeue{2, 1},
                     kept(7, "newer", 7), kept(12, "gone", 0), kept(8, "late", 8), kept(8, "cleared", 9)}));
    w.crash();
    CHECK(w.start(later) == "");
    const auto part = load_first_part(*w.store);
    REQUIRE(w.store->prepare_queues());
    const auto lines = with_queues(*w.store, part);
    REQUIRE(w.store->end_loading());
    CHECK(lines == sorted(w.content()));
    CHECK(std::count_if(lines.begin(), lines.end(), [](const auto& l) { return l.starts_with("retained"); }) == 2);
    CHECK(std::count_if(lines.begin(), lines.end(), [](const auto& l) { return l.starts_with("session"); }) == 2);
    CHECK(part.all.counters.message == 9);
    CHECK(part.all.counters.retained_version == 12);
}

TEST_CASE("damage in what is read later only is found by verify()") {
    const scratch_dir dir;
    {
        auto sessions = open_sqlite_session_store(dir / "state.db");
        REQUIRE(sessions);
        std::vector<session_operation> ops{a_session(1)};
        for (std::uint64_t n = 1; n <= 2000; ++n) ops.push_back(queued(1, n, n));
        REQUIRE(sessions->store->apply(ops));
    }
    const auto page = std::stoul(raw_sql(dir / "state.db", "SELECT rootpage FROM sqlite_schema WHERE name = 'queue'"));
    {
        std::fstream file(dir / "state.db", std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(static_cast<std::streamoff>((page - 1) * 4096));
        file << std::string(512, '\x5a');
    }
    {
        auto sessions = open_sqlite_session_store(dir / "state.db", checked::all_but_queues);
        REQUIRE(sessions);
        CHECK_FALSE(sessions->put_aside);
        const auto sound = sessions->store->verify();
        REQUIRE_FALSE(sound);
        CHECK(sound.err().kind == error_kind::corrupt);
    }
    const auto aside = put_database_aside(dir / "state.db");
    REQUIRE(aside);
    CHECK(std::filesystem::exists(*aside));
    auto fresh = open_sqlite_session_store(dir / "state.db");
    REQUIRE(fresh);
    CHECK_FALSE(fresh->put_aside);
}
