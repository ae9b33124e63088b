// What the load generator's numbers and its verdicts rest on.
#include <doctest/doctest.h>

#include "bench/fleet/histogram.hpp"
#include "bench/fleet/sequence_checker.hpp"

using namespace fb::fleet;

TEST_CASE("messages in order are clean and none is lost") {
    sequence_checker c;
    for (std::uint64_t i = 0; i < 1000; ++i) CHECK(c.take(i) == sequence_checker::verdict::next);
    CHECK(c.lost(1000) == 0);
    CHECK(c.lost(1003) == 3);
}

TEST_CASE("a message that comes twice is doubled, also long after") {
    sequence_checker c;
    c.take(0);
    CHECK(c.take(0) == sequence_checker::verdict::doubled);
    c.take(1);
    CHECK(c.take(0) == sequence_checker::verdict::doubled);
    CHECK(c.lost(2) == 0);
}

TEST_CASE("an overtaken message is reordered when it comes and lost when it does not") {
    sequence_checker c;
    c.take(0);
    c.take(3);
    CHECK(c.lost(4) == 2);
    CHECK(c.take(1) == sequence_checker::verdict::reordered);
    CHECK(c.take(1) == sequence_checker::verdict::doubled);
    CHECK(c.lost(4) == 1);
    CHECK(c.take(4) == sequence_checker::verdict::next);
}

TEST_CASE("a sequence number from nowhere does not fill the memory") {
    sequence_checker c;
    CHECK(c.take(~std::uint64_t{0}) == sequence_checker::verdict::reordered);
    CHECK(c.take(0) == sequence_checker::verdict::next);
}

TEST_CASE("verification is clean only when every count is zero") {
    CHECK(verification{}.clean());
    CHECK_FALSE(verification{1, 0, 0, 0, 0}.clean());
    CHECK_FALSE(verification{0, 1, 0, 0, 0}.clean());
    CHECK_FALSE(verification{0, 0, 1, 0, 0}.clean());
    CHECK_FALSE(verification{0, 0, 0, 1, 0}.clean());
    CHECK_FALSE(verification{0, 0, 0, 0, 1}.clean());
}

TEST_CASE("quantiles are right to a sixteenth, over the whole range") {
    for (const std::uint64_t value : {0ULL, 1ULL, 15ULL, 16ULL, 17ULL, 1000ULL, 123'456'789ULL, ~0ULL}) {
        CAPTURE(value);
        histogram h;
        h.add(value);
        CHECK(h.quantile_ns(0.5) >= value);
        CHECK(h.quantile_ns(0.5) - value <= value / 16);
    }
}

TEST_CASE("a quantile has that share of all values at or below it") {
    histogram h;
    CHECK(h.quantile_ns(0.5) == 0);
    for (std::uint64_t i = 1; i <= 100; ++i) h.add(i * 1'000'000);
    CHECK(h.count() == 100);
    CHECK(h.quantile_ns(0.5) >= 50'000'000);
    CHECK(h.quantile_ns(0.5) < 54'000'000);
    CHECK(h.quantile_ns(0.99) >= 99'000'000);
    CHECK(h.quantile_ns(1.0) < 107'000'000);
}
