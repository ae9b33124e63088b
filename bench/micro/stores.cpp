// The state store on real files: batches of a thousand operations, each committed and synced.
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "bench/micro/operation.hpp"
#include "bench/micro/packets.hpp"
#include "storage/open.hpp"
#include "storage/redo/redo_store.hpp"

namespace fb::micro {
namespace {

constexpr std::uint64_t batch_operations = 1000;

/// A state.db of its own with one session in it, with or without the redo log; gone at the end.
struct state_store {
    explicit state_store(bool with_log) {
        std::string name = (std::filesystem::temp_directory_path() / "fotabroker-micro-XXXXXX").string();
        must(::mkdtemp(name.data()) != nullptr, "a directory for state.db");
        directory = name;
        auto opened = storage::open_sqlite_session_store(directory / "state.db");
        must(bool(opened), "opening state.db");
        if (with_log)
            begin_log(std::move(opened->store));
        else
            store = std::move(opened->store);
        must(bool(store->load({})), "loading state.db");
        storage::put_session session;
        session.row.number = 1;
        session.row.client_id = "device-0042";
        session.row.expiry_s = 3600;
        apply({session});
    }
    ~state_store() {
        store.reset();
        std::error_code ignored;
        std::filesystem::remove_all(directory, ignored);
    }
    state_store(const state_store&) = delete;

    void begin_log(std::unique_ptr<storage::checkpointed_store> base) {
        auto files = storage::redo::open_segment_directory(directory / "log");
        must(bool(files), "a directory for the log");
        storage::redo::settings settings;
        settings.segment_bytes = 1 << 20; // several checkpoints, in the steps that apply() does without a thread
        settings.thread = false;
        auto log = std::make_unique<storage::redo::redo_store>(std::move(base), std::move(*files), settings);
        must(bool(log->recover()), "beginning the log");
        store = std::move(log);
    }
    void apply(const std::vector<storage::session_operation>& operations) {
        must(bool(store->apply(operations)), "committing");
    }

    std::filesystem::path directory;
    std::unique_ptr<storage::session_store> store;
    std::uint64_t sequence = 0;
};

storage::enqueue enqueue(std::uint64_t sequence) {
    storage::enqueue op;
    op.row.session = 1;
    op.row.sequence = op.row.message = op.message.id = sequence;
    op.row.quality = op.message.quality = 1;
    op.message.topic = "site/7/device-0042/temperature";
    op.message.payload = payload;
    return op;
}

runner enqueue_and_dequeue(bool with_log) {
    return [s = std::make_shared<state_store>(with_log)](std::uint64_t count) {
        const std::uint64_t rounds = (count + batch_operations - 1) / batch_operations;
        for (std::uint64_t i = 0; i < rounds; ++i) {
            std::vector<storage::session_operation> in, out;
            for (std::uint64_t n = 0; n < batch_operations; ++n) {
                in.emplace_back(enqueue(++s->sequence));
                out.emplace_back(storage::dequeue{1, s->sequence});
            }
            s->apply(in);
            s->apply(out);
        }
        return rounds * batch_operations;
    };
}

constexpr operation all[] = {
    {"state_log", "a message into the redo log and out again, checkpoints included", 20'000,
     [] { return enqueue_and_dequeue(true); }},
    {"state_store", "the same with state.db alone", 2000, [] { return enqueue_and_dequeue(false); }},
};

} // namespace

std::span<const operation> store_operations() { return all; }

} // namespace fb::micro
