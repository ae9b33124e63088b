// Random sequences of what clients, time, the disk and the mains do, run against the engine and against the model
// (model.hpp) on one shard and on four. A sequence that ends differently is shortened and told step by step.
//
// FB_SIM_SEED=<n> runs that seed only and tells its whole story; FB_SIM_FIRST=<seed>, FB_SIM_SEQUENCES=<n>,
// FB_SIM_OPERATIONS=<n> and FB_SIM_SHARDS=<n> say what is run; FB_LONG=1 runs a hundred times as many sequences.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "tests/sim/runner.hpp"

namespace fb::sim {
namespace {

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

int operation_count() { return static_cast<int>(setting("FB_SIM_OPERATIONS", 60)); }

void play(std::uint64_t seed, int shards, bool tell) {
    const plan p = make_plan(seed, operation_count(), shards);
    const outcome o = run(p);
    if (tell) MESSAGE(report(p, o));
    if (!o.diverged) return;
    const plan shortest = shrink(p);
    FAIL_CHECK(report(shortest, run(shortest)));
}

} // namespace

TEST_CASE("random sequences end as the model says, on one shard and on four") {
    const std::uint64_t only = setting("FB_SIM_SEED", 0);
    const std::uint64_t shards = setting("FB_SIM_SHARDS", 0);
    const std::uint64_t first = only != 0 ? only : setting("FB_SIM_FIRST", 1);
    const std::uint64_t count = only != 0 ? 1 : setting("FB_SIM_SEQUENCES", std::getenv("FB_LONG") ? 30'000 : 300);
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        for (const int n : {1, 4})
            if (shards == 0 || shards == static_cast<std::uint64_t>(n)) play(seed, n, only != 0);
    }
}

TEST_CASE("what is wrong in a broker is found, and told in a few steps") {
    for (const fault wrong :
         {fault::drop, fault::repeat, fault::swap, fault::retain_bit, fault::reuse_id, fault::forget_row}) {
        CAPTURE(static_cast<int>(wrong));
        int found = 0;
        std::size_t shortest = 1000;
        for (std::uint64_t seed = 1; seed <= 1000 && found < 5; ++seed) {
            plan p = make_plan(seed, 60, 1);
            if (p.small_limits) continue;
            p.wrong = wrong;
            p.wrong_at = static_cast<int>(seed % 5);
            if (!run(p).diverged) continue; // it did not come to that many deliveries, or nobody was owed this one
            ++found;
            const plan shrunk = shrink(p);
            const outcome o = run(shrunk);
            CHECK(o.diverged);
            CHECK(shrunk.operations.size() <= p.operations.size());
            CHECK(!report(shrunk, o).empty());
            shortest = std::min(shortest, shrunk.operations.size());
        }
        CHECK(found == 5);
        CHECK(shortest <= 8);
    }
}

} // namespace fb::sim
