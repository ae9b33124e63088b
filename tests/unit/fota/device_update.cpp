// The state machine's table, each state with each stimulus, against a picture of it drawn separately.
#include "fota/device_update.hpp"

#include <doctest/doctest.h>
#include <sstream>

using namespace fb::fota;
using namespace std::chrono_literals;
namespace storage = fb::storage;

namespace {

// One column per state in the order of storage::update_state: s p o a d D i v | S F R C E s k. A letter names the state
// that follows, a dot says that nothing changes.
constexpr const char* picture = R"(
offer              . o o . . . . . . . . . . . .
accepted           . a a . . . . . . . . . . . .
downloading        . d d d . . . . . . . . . . .
downloaded         . D D D D . . . . . . . . . .
installing         . i i i i i . . . . . . . . .
rebooting          . v v v v v v . . . . . . . .
rejected           . R R R R R . . . . . . . . .
deferred           . p p p . . . . . . . . . . .
proven             . S S S S S S S . S . S S . .
already_installed  k k . . . . . . . . . . . . .
early_success      . v v v v v v . . . . . . . .
wrong_version      . F F F F F F F . . . . . . .
failed             . F F F F F F F . . . . . . .
partial            . F F F F F F F . . . . . . .
rolled_back        . . . . . . . F . . . . . . .
connection_lost    . . p . . . . . . . . . . . .
no_response        . F F . . . . . . . . . . . .
timed_out          . . . F F F F F . . . . . . .
deadline_passed    E E . . . . . . . . . . . . .
cancel             C C C C C C . . . . . . . . .
supersede          u u u . . . . . . . . . . . .
)";
constexpr std::string_view letters = "spoadDivSFRCEuk";

storage::update row_in(update_state state) {
    storage::update u;
    u.state = state;
    u.offer_no = 1;
    u.sent_at = timestamp(1h);
    return u;
}

} // namespace

TEST_CASE("each stimulus leads from each state where the picture says") {
    std::istringstream lines(picture);
    std::string name, cell;
    for (int s = 0; s < stimulus_count; ++s) {
        lines >> name;
        for (int from = 0; from < state_count; ++from) {
            lines >> cell;
            CAPTURE(name);
            CAPTURE(storage::to_string(static_cast<update_state>(from)));
            const auto next = next_state(static_cast<update_state>(from), static_cast<stimulus>(s));
            const char found = next ? letters[static_cast<std::size_t>(*next)] : '.';
            CHECK(found == cell[0]);
        }
    }
    lines >> name;
    CHECK(lines.eof()); // the picture has no row too many
}

TEST_CASE("a report never lowers the rank of an open update, but for deferred and a retry") {
    for (int s = static_cast<int>(stimulus::accepted); s <= static_cast<int>(stimulus::rebooting); ++s)
        for (int from = 0; from < state_count; ++from)
            if (const auto next = next_state(static_cast<update_state>(from), static_cast<stimulus>(s)))
                CHECK(static_cast<int>(*next) > from);
}

TEST_CASE("no progress report moves an update that was not offered in this attempt") {
    auto u = row_in(update_state::pending);
    for (int s = static_cast<int>(stimulus::accepted); s <= static_cast<int>(stimulus::deferred); ++s) {
        u.offer_no = 1;
        u.not_before.reset();
        CHECK(advance(u, static_cast<stimulus>(s), {}, {}).has_value());
        u.offer_no = 0;
        CHECK_FALSE(advance(u, static_cast<stimulus>(s), {}, {}).has_value());
        u.offer_no = 1;
        u.not_before = timestamp(2h); // deferred: the offer is over
        CHECK_FALSE(advance(u, static_cast<stimulus>(s), {}, {}).has_value());
    }
}

TEST_CASE("a seed-only row is never acted on") {
    storage::update u;
    for (int s = 0; s < stimulus_count; ++s) CHECK_FALSE(advance(u, static_cast<stimulus>(s), {}, {}).has_value());
}

TEST_CASE("a history is sorted as it happened, though the row was changed after our clock was read") {
    auto u = row_in(update_state::pending);
    occasion ours;
    ours.now = timestamp(24h * 365 * 130); // later than any id so far, which ids follow whatever the clock says
    occasion theirs;                       // of another gateway: committed between our look at the clock and at the row
    theirs.now = ours.now + 3s;
    const auto before = storage::to_string(storage::new_id<storage::event_uuid>(theirs.now));
    u.state_at = theirs.now;
    const auto st = advance(u, stimulus::cancel, ours, {});
    REQUIRE(st);
    CHECK(st->events[0].at == ours.now);
    const auto time_of = [](const std::string& id) { return id.substr(0, 13); }; // milliseconds
    CHECK(time_of(storage::to_string(st->events[0].id)) > time_of(before));

    u.state_at = ours.now + 24h; // nobody's clock: ours was set back
    const auto later = advance(u, stimulus::cancel, ours, {});
    REQUIRE(later);
    CHECK(time_of(storage::to_string(later->events[0].id)) <
          time_of(storage::format_uuid(storage::make_uuid_v7(u.state_at))));
}

TEST_CASE("a failure with attempts left is one change with two events; the last one is final") {
    auto u = row_in(update_state::installing);
    u.percent = 100;
    u.bytes_sent = 77;
    occasion o;
    o.now = timestamp(5h);
    o.cause = "report";
    o.error_code = "E1";
    for (int attempt = 1; attempt <= 3; ++attempt) {
        u.state = update_state::installing;
        const auto st = advance(u, stimulus::failed, o, {});
        REQUIRE(st);
        CHECK(st->attempt_failed);
        CHECK(st->events[0].to_state == update_state::failed);
        CHECK(st->events[0].attempt == attempt);
        u = st->wanted;
        if (attempt == 3) break;
        CHECK(st->events.size() == 2);
        CHECK(u.state == update_state::pending);
        CHECK(u.attempt == attempt + 1);
        CHECK(u.offer_no == 0);
        CHECK(u.percent == 0);
        CHECK(u.bytes_sent == 0);
        CHECK_FALSE(u.step_deadline.has_value());
    }
    CHECK(u.state == update_state::failed);
    CHECK(u.error_code == "E1");
}

TEST_CASE("rolled back and a wrong version are final at once") {
    for (const auto s : {stimulus::rolled_back, stimulus::wrong_version}) {
        const auto st = advance(row_in(update_state::verifying), s, {}, {});
        REQUIRE(st);
        CHECK(st->wanted.state == update_state::failed);
        CHECK(st->wanted.attempt == 1);
    }
}

TEST_CASE("retries wait 1, 2, 4 minutes and up to a quarter more") {
    for (std::uint32_t random : {0U, 15U, 4294967295U}) {
        CHECK(retry_delay(1, 60s, random) >= 60s);
        CHECK(retry_delay(1, 60s, random) <= 75s);
        CHECK(retry_delay(2, 60s, random) >= 120s);
        CHECK(retry_delay(3, 60s, random) <= 300s);
        CHECK(retry_delay(1000, 60s, random) < 24h); // no overflow
    }
    CHECK(retry_delay(1, 0s, 7) == 0s);
}
