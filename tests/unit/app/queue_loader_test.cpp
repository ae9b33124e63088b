// The thread that reads queues after a start: whose come first, what they share, and what a stop leaves in the store.
#include "broker/app/queue_loader.hpp"

#include <doctest/doctest.h>

#include <future>

#include "storage/open.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace fb;

namespace {

constexpr std::uint64_t sessions = 5;

core::session_handle handle_of(std::uint64_t session) { return {static_cast<std::uint32_t>(session), 1, 0}; }

/// state.db with message 7 in the queue of every session, opened for a start in two parts; the first part is over.
struct opened_state {
    opened_state() {
        {
            const auto before = open(storage::redo::redo_store::bring_in::now);
            std::vector<storage::session_operation> operations;
            for (std::uint64_t n = 1; n <= sessions; ++n) {
                storage::put_session s;
                s.row.number = n;
                s.row.client_id = std::to_string(n);
                operations.emplace_back(s);
                storage::enqueue q;
                q.row.session = n;
                q.row.sequence = 1;
                q.row.message = q.message.id = 7;
                q.message.topic = "t";
                operations.emplace_back(q);
            }
            REQUIRE(before->apply(operations));
        }
        store = open(storage::redo::redo_store::bring_in::later);
        storage::session_loader first;
        first.on_session = [](const storage::session_record&) {};
        first.on_waiting = [this](const storage::waiting_record& w) {
            late.push_back({w.session, handle_of(w.session)});
        };
        REQUIRE(store->load(first));
        REQUIRE(late.size() == sessions);
    }

    std::unique_ptr<storage::redo::redo_store> open(storage::redo::redo_store::bring_in when) const {
        auto base = storage::open_sqlite_session_store(directory / "state.db", storage::checked::all_but_queues);
        REQUIRE(base);
        auto files = storage::redo::open_segment_directory(directory / "redo");
        REQUIRE(files);
        auto out = std::make_unique<storage::redo::redo_store>(std::move(base->store), std::move(*files),
                                                               storage::redo::settings{1 << 20, 2, true});
        REQUIRE(out->recover(when));
        return out;
    }

    test::scratch_dir directory;
    std::unique_ptr<storage::redo::redo_store> store;
    std::vector<app::late_session> late;
};

/// Holds the loader after its first queue.
struct hold {
    std::promise<void> first, go_on, all;
    std::vector<std::uint64_t> order;
    std::vector<core::message_ptr> messages;

    app::queue_loader::hooks hooks() {
        return {[] { return nullptr; },
                [this](const core::session_handle& s, std::vector<core::delivery> queue) {
                    order.push_back(s.slot);
                    for (const core::delivery& d : queue) messages.push_back(d.message);
                    if (order.size() == 1) {
                        first.set_value();
                        go_on.get_future().wait();
                    }
                    if (order.size() == sessions) all.set_value();
                },
                [] { FAIL("it is not damaged"); }};
    }
};

} // namespace

TEST_CASE("queues of clients that have come are read before the others, and a message of all is there once") {
    opened_state state;
    hold h;
    app::queue_loader loader(*state.store, state.late, h.hooks());
    h.first.get_future().wait();
    loader.wanted(handle_of(4));
    loader.wanted(handle_of(1)); // it has been read
    loader.wanted(handle_of(99));
    loader.wanted(handle_of(3));
    CHECK(loader.left() == sessions);
    h.go_on.set_value();
    h.all.get_future().wait();
    CHECK(h.order == std::vector<std::uint64_t>{1, 4, 3, 2, 5});
    REQUIRE(h.messages.size() == sessions);
    for (const auto& m : h.messages) CHECK(m == h.messages[0]);
}

TEST_CASE("a stop in between leaves the rest in the store, which goes on") {
    opened_state state;
    hold h;
    {
        app::queue_loader loader(*state.store, state.late, h.hooks());
        h.first.get_future().wait();
        h.go_on.set_value();
    }
    std::size_t rows = 0;
    storage::session_loader all;
    all.on_queued = [&](const storage::queue_record&, const storage::message_record&) { ++rows; };
    REQUIRE(state.store->load(all));
    CHECK(rows == sessions);
}
