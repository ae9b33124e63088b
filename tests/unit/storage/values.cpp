// UUIDs and timestamps.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <thread>
#include <vector>

#include "storage/records.hpp"
#include "storage/values.hpp"

using namespace fb::storage;

namespace {

timestamp at(const char* text) {
    const auto parsed = parse_timestamp(text);
    REQUIRE(parsed);
    return *parsed;
}

} // namespace

TEST_CASE("a timestamp is RFC 3339 in UTC with milliseconds, and reads back") {
    for (const char* text : {"1970-01-01T00:00:00.000Z", "2026-11-22T10:15:30.123Z", "2024-02-29T23:59:59.999Z",
                             "0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"}) {
        CHECK(format_timestamp(at(text)) == text);
    }
    CHECK(at("1970-01-01T00:00:01.500Z").time_since_epoch().count() == 1500);
}

TEST_CASE("times before year 0 and after 9999 are written as the nearest that sorts as text") {
    CHECK(format_timestamp(timestamp::min()) == "0000-01-01T00:00:00.000Z");
    CHECK(format_timestamp(timestamp::max()) == "9999-12-31T23:59:59.999Z");
}

TEST_CASE("what format_timestamp does not write is no timestamp") {
    for (const char* text :
         {"", "2026-11-22", "2026-11-22T10:15:30Z", "2026-11-22 10:15:30.123Z", "2026-11-22T10:15:30.123+",
          "2026-02-29T10:15:30.123Z", "2026-13-01T10:15:30.123Z", "2026-11-22T24:15:30.123Z",
          "2026-11-22T10:60:30.123Z", "2026-11-22T10:15:60.123Z", "2026-11-22T10:15:30.12xZ",
          "-026-11-22T10:15:30.123Z", "2026-11-00T10:15:30.123Z", "2026-11-22T10:15:30.123Z "}) {
        CAPTURE(text);
        CHECK_FALSE(parse_timestamp(text));
    }
}

TEST_CASE("a UUID is version 7 of its time, written in lower case, and reads back") {
    // Later than any id before, because ids never go back within a process.
    const timestamp now = at("5000-01-02T03:04:05.678Z");
    const auto id = new_id<device_uuid>(now);
    const std::string text = to_string(id);
    REQUIRE(text.size() == 36);
    CHECK(text[14] == '7');
    CHECK(std::string("89ab").find(text[19]) != std::string::npos);
    std::int64_t ms = 0;
    for (int i = 0; i < 6; ++i) ms = ms << 8 | id.bytes[i];
    CHECK(ms == now.time_since_epoch().count());
    CHECK(parse_id<device_uuid>(text) == id);
    CHECK(parse_id<device_uuid>("0190163D-8694-739B-AEA5-966C26F8AD91"));
    for (const char* bad : {"", "0190163d8694739baea5966c26f8ad91", "0190163d-8694-739b-aea5-966c26f8ad9",
                            "0190163d-8694-739b-aea5-966c26f8ad9g", "0190163d+8694-739b-aea5-966c26f8ad91"}) {
        CHECK_FALSE(parse_uuid(bad));
    }
}

TEST_CASE("UUIDs increase while the clock stands still or goes back, even by years") {
    auto previous = make_uuid_v7(at("6000-06-01T00:00:00.000Z"));
    for (const char* now : {"6000-06-01T00:00:00.000Z", "2050-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z"}) {
        for (int i = 0; i < 10'000; ++i) { // more than fit into one millisecond
            const auto next = make_uuid_v7(at(now));
            REQUIRE(next > previous);
            REQUIRE((next[6] >> 4) == 7);
            previous = next;
        }
    }
}

TEST_CASE("UUIDs made by several threads are all different and increase in each") {
    std::vector<std::vector<update_uuid>> made(4);
    std::vector<std::thread> threads;
    for (auto& ids : made) {
        threads.emplace_back([&ids] {
            for (int i = 0; i < 5000; ++i) ids.push_back(new_id<update_uuid>(timestamp{}));
        });
    }
    for (auto& thread : threads) thread.join();
    std::set<update_uuid> all;
    for (const auto& ids : made) {
        CHECK(std::is_sorted(ids.begin(), ids.end()));
        all.insert(ids.begin(), ids.end());
    }
    CHECK(all.size() == 20'000);
}

TEST_CASE("a raised floor is below every later UUID, and only version 7 raises it") {
    auto floor = make_uuid_v7(timestamp{});
    for (std::size_t i = 3; ++floor[i] == 0;) --i; // a minute or so ahead
    raise_uuid_floor(floor);
    CHECK(make_uuid_v7(timestamp{}) > floor);
    auto random = floor;
    random[0] = 0x7f;
    random[6] = 0x4f;
    raise_uuid_floor(random);
    CHECK(make_uuid_v7(timestamp{}) < random);
    random[0] = 0xff;
    random[6] = 0x7f; // version 7 of a time that cannot be: refused, or there would be no ids left
    raise_uuid_floor(random);
    CHECK(make_uuid_v7(timestamp{}) < random);
}

TEST_CASE("every state and status has a name that reads back") {
    for (int i = 0; i <= int(update_state::skipped); ++i) {
        const auto state = static_cast<update_state>(i);
        CHECK(parse_update_state(to_string(state)) == state);
        CHECK(is_open(state) != is_terminal(state));
    }
    for (const auto state : {firmware_state::draft, firmware_state::approved, firmware_state::revoked}) {
        CHECK(parse_firmware_state(to_string(state)) == state);
    }
    for (const auto status : {result_status::success, result_status::failed, result_status::partial}) {
        CHECK(parse_result_status(to_string(status)) == status);
    }
    CHECK_FALSE(parse_update_state("Pending"));
    CHECK_FALSE(parse_firmware_state(""));
    CHECK_FALSE(parse_result_status("ok"));
}
