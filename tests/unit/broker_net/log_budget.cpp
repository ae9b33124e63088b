// A flood of lines is cut short and counted.
#include "broker/net/log_budget.hpp"

#include <doctest/doctest.h>

using fb::net::log_budget;

TEST_CASE("as many lines a second as are allowed, and the rest is counted until it is told") {
    log_budget b(2);
    CHECK(b.due_ms() == INT64_MAX);
    CHECK(b.allow(5000));
    CHECK(b.allow(5001));
    CHECK_FALSE(b.allow(5002));
    CHECK_FALSE(b.allow(5999));
    CHECK(b.due_ms() == 6000);
    CHECK(b.take_left_out(5999) == 0);
    CHECK(b.take_left_out(6000) == 2);
    CHECK(b.take_left_out(6000) == 0);
    CHECK(b.due_ms() == INT64_MAX);
    CHECK(b.allow(6001));
}

TEST_CASE("a flood that does not end is told of every second") {
    log_budget b(1);
    std::uint64_t told = 0;
    for (std::int64_t ms = 1000; ms < 11'000; ms += 100) { // a line is always there before the question
        b.allow(ms);
        told += b.take_left_out(ms);
    }
    CHECK(told == 9 * 9); // nine of ten, of all seconds but the last
}

TEST_CASE("a quiet second gives no more lines to the next") {
    log_budget b(1);
    CHECK(b.allow(10'000));
    CHECK(b.allow(20'000));
    CHECK_FALSE(b.allow(20'000));
}
