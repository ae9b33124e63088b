#include "tests/sim/operations.hpp"

#include <random>

namespace fb::sim {
namespace {

struct weighted {
    operation::kind what;
    int weight;
};
constexpr weighted table[] = {
    {operation::connect, 9},
    {operation::disconnect, 2},
    {operation::cut, 4},
    {operation::subscribe, 12},
    {operation::unsubscribe, 3},
    {operation::publish, 30},
    {operation::acknowledge, 14},
    {operation::acknowledge_all, 5},
    {operation::release, 6},
    {operation::stop_reading, 2},
    {operation::read, 3},
    {operation::pass_time, 3},
    {operation::hold_commits, 2},
    {operation::commit_oldest, 3},
    {operation::release_commits, 2},
    {operation::hold_crossings, 2},
    {operation::cross_one, 3},
    {operation::release_crossings, 2},
    {operation::power_cut, 2},
    {operation::read_queues, 5},
    {operation::store_fails, 2}, // this and what follows: with small limits only
    {operation::store_works, 2},
};

} // namespace

plan make_plan(std::uint64_t seed, int operation_count, int shards) {
    std::mt19937_64 random(seed);
    plan p;
    p.seed = seed;
    p.shards = shards;
    p.small_limits = seed % 4 == 3;
    int total = 0;
    for (const weighted& w : table) {
        if (w.what == operation::store_fails && !p.small_limits) break;
        total += w.weight;
    }
    for (int i = 0; i < operation_count; ++i) {
        operation op;
        int at = static_cast<int>(random() % static_cast<unsigned>(total));
        for (const weighted& w : table) {
            op.what = w.what;
            if ((at -= w.weight) < 0) break;
        }
        const auto dice = random();
        op.client = static_cast<std::uint8_t>(dice & 3);
        op.a = static_cast<std::uint8_t>(dice >> 8);
        op.b = static_cast<std::uint8_t>(dice >> 16);
        op.c = static_cast<std::uint8_t>(dice >> 24);
        op.d = static_cast<std::uint8_t>(dice >> 32);
        if (i < 4) { // everybody is there at first
            op.what = operation::connect;
            op.client = static_cast<std::uint8_t>(i);
        }
        p.operations.push_back(op);
    }
    return p;
}

} // namespace fb::sim
