// Group commit: batching, order, one outcome per operation, nothing lost at the end. A gate holds the writer's thread
// where a case needs operations to pile up; nothing here depends on time.
#include <doctest/doctest.h>

#include <future>
#include <numeric>

#include "storage/async_store.hpp"

using namespace fb::storage;

namespace {

using committer = group_commit<int, int>;

/// Applies n as n * 10, remembers the batches, and stops in the first one until opened.
struct gated_store {
    std::promise<void> entered, gate;
    std::vector<std::vector<int>> batches;

    committer::apply_function apply() {
        return [this](const std::vector<int>& ops) {
            batches.push_back(ops);
            if (batches.size() == 1) {
                entered.set_value();
                gate.get_future().wait();
            }
            std::vector<int> outcomes;
            for (const int op : ops) outcomes.push_back(op * 10);
            return outcomes;
        };
    }
};

} // namespace

TEST_CASE("what is submitted during a commit goes into the next one together") {
    gated_store store;
    std::vector<int> outcomes;
    {
        committer commits("test-writer", 100, store.apply());
        const auto submit = [&](int op) { commits.submit(op, [&](int outcome) { outcomes.push_back(outcome); }); };
        submit(0);
        store.entered.get_future().wait();
        for (int op = 1; op <= 5; ++op) submit(op);
        CHECK(commits.pending() == 6);
        CHECK(commits.commits() == 0);
        store.gate.set_value();
    }
    CHECK(store.batches == std::vector<std::vector<int>>{{0}, {1, 2, 3, 4, 5}});
    CHECK(outcomes == std::vector<int>{0, 10, 20, 30, 40, 50});
}

TEST_CASE("a batch is never larger than its maximum, and order is kept across batches") {
    gated_store store;
    std::vector<int> outcomes;
    {
        committer commits("test-writer", 3, store.apply());
        const auto submit = [&](int op) { commits.submit(op, [&](int outcome) { outcomes.push_back(outcome); }); };
        submit(0);
        store.entered.get_future().wait();
        for (int op = 1; op <= 7; ++op) submit(op);
        store.gate.set_value();
    }
    CHECK(store.batches == std::vector<std::vector<int>>{{0}, {1, 2, 3}, {4, 5, 6}, {7}});
    CHECK(outcomes == std::vector<int>{0, 10, 20, 30, 40, 50, 60, 70});
}

TEST_CASE("completed operations are pending no more, and every batch counts as one commit") {
    gated_store store;
    store.gate.set_value();
    committer commits("a name far longer than a thread may have", 10, store.apply());
    for (int op = 0; op < 3; ++op) {
        std::promise<int> done;
        commits.submit(op, [&](int outcome) { done.set_value(outcome); });
        CHECK(done.get_future().get() == op * 10);
        CHECK(commits.pending() == 0);
        CHECK(commits.commits() == std::size_t(op) + 1);
    }
}

TEST_CASE("many threads submit, each sees its own completions in its own order, none is lost at destruction") {
    constexpr int thread_count = 4, per_thread = 2000;
    std::vector<std::vector<int>> seen(thread_count);
    {
        committer commits("test-writer", 64, [](const std::vector<int>& ops) { return ops; });
        std::vector<std::thread> threads;
        for (int t = 0; t < thread_count; ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < per_thread; ++i) {
                    commits.submit(i, [&seen, t](int outcome) { seen[std::size_t(t)].push_back(outcome); });
                }
            });
        }
        for (auto& thread : threads) thread.join();
    }
    std::vector<int> expected(per_thread);
    std::iota(expected.begin(), expected.end(), 0);
    for (const auto& outcomes : seen) CHECK(outcomes == expected);
}

TEST_CASE("a completion may submit again, also while the writer is being destroyed") {
    std::vector<int> outcomes;
    {
        committer commits("test-writer", 8, [](const std::vector<int>& ops) { return ops; });
        commits.submit(1, [&](int first) {
            outcomes.push_back(first);
            commits.submit(2, [&](int second) { outcomes.push_back(second); });
        });
    }
    CHECK(outcomes == std::vector<int>{1, 2});
}
