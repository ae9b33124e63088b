#include "broker/net/clock_watch.hpp"

#include <doctest/doctest.h>

using fb::net::clock_watch;

TEST_CASE("a wall clock that is set is noticed once, forward and back") {
    clock_watch w({1000, 1'700'000'000'000});
    CHECK(w.jump_ms({2000, 1'700'000'001'000}) == 0);
    CHECK(w.jump_ms({3000, 1'700'003'602'000}) == 3'600'000);
    CHECK(w.jump_ms({4000, 1'700'003'603'000}) == 0);
    CHECK(w.jump_ms({5000, 1'700'000'004'000}) == -3'600'000);
    CHECK(w.jump_ms({6000, 1'700'000'005'000}) == 0);
}

TEST_CASE("a wall clock that is corrected little by little is not taken for one that was set") {
    clock_watch w({0, 0});
    for (std::int64_t s = 1; s <= 1000; ++s) CHECK(w.jump_ms({s * 1000, s * 1100}) == 0);
}
