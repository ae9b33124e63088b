#include "broker/app/daily_bytes.hpp"

#include <doctest/doctest.h>

using namespace fb::app;

TEST_CASE("the bytes of a day are those of its last 24 hours") {
    daily_bytes d;
    d.note(5, 1000); // what was before does not count
    CHECK(d.last_day() == 0);
    d.note(5, 1010);
    d.note(6, 1030);
    CHECK(d.last_day() == 30);
    d.note(28, 1030); // hour 5 was 23 hours ago
    CHECK(d.last_day() == 30);
    d.note(29, 1031);
    CHECK(d.last_day() == 21);
    d.note(30, 1031);
    CHECK(d.last_day() == 1);
    d.note(1'000'000'000, 1031);
    CHECK(d.last_day() == 0);
    d.note(1'000'000'001, 1040);
    CHECK(d.last_day() == 9);
}
