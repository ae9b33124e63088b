// The contract of fota_reader's reports, run over every engine: the same data in, the same numbers out.
#include <map>

#include "fota_world.hpp"

using namespace fb::test;

namespace {

std::string number(double d) {
    std::string text = std::to_string(d);
    text.erase(text.find_last_not_of('0') + 1);
    return text.back() == '.' ? text + "0" : text;
}

std::string line(const fleet_version& v) {
    return v.device_type.value_or("-") + " " + v.firmware_version.value_or("-") + " " + std::to_string(v.devices) +
           " " + std::to_string(v.online);
}
std::string line(const firmware_success& f) {
    std::string out = f.device_type + " " + f.version;
    for (const auto count :
         {f.updates, f.in_progress, f.decided, f.succeeded, f.failed, f.rejected, f.expired, f.retries})
        out += " " + std::to_string(count);
    out += " " + (f.success_rate ? number(*f.success_rate) : "-");
    for (const firmware_failure& each : f.failures)
        out += std::string("; ") + to_string(each.state) + " " + each.error_code + " " + std::to_string(each.updates) +
               " " + format_timestamp(each.last_at).substr(11);
    return out;
}
std::string line(const update_durations& d) {
    std::string out = d.device_type + " " + d.version + " " + std::to_string(d.succeeded);
    for (const auto& percentile : {d.p50_s, d.p90_s, d.p99_s}) out += " " + (percentile ? number(*percentile) : "-");
    return out;
}
std::string line(const stuck_device& s) {
    return s.device_id + " " + s.device_type.value_or("-") + " " + s.version + " " + to_string(s.state) + " " +
           std::to_string(s.attempt) + " " + s.reason + " " + (s.online ? "online" : "offline");
}

/// All lines of a report, read in pages of `limit`.
template <class List>
std::vector<std::string> report_lines(List list, list_query q = {}) {
    std::vector<std::string> out;
    do {
        const auto page = list(q);
        REQUIRE_MESSAGE(page, page.err().text);
        CHECK(page->items.size() <= std::size_t(q.limit));
        for (const auto& row : page->items) out.push_back(line(row));
        q.cursor = page->next;
    } while (q.cursor);
    return out;
}

using words = std::vector<std::string>;

template <class World>
update ended(World& w, const device& d, const firmware& f, update_state state, std::chrono::milliseconds after,
             std::optional<std::string> code = {}, int attempt = 1) {
    update u = w.an_update(d, f, state);
    u.state_at = u.created_at + after;
    u.error_code = std::move(code);
    u.attempt = attempt;
    REQUIRE(w.apply(create_update{u, {}, {}}) == "done");
    return u;
}

} // namespace

TEST_CASE_TEMPLATE("the fleet report counts devices by type and version", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    CHECK(w.reader->report_fleet({})->items.empty());
    const auto add = [&](const std::string& id, std::optional<std::string> type, std::optional<std::string> version,
                         bool online) {
        device d = w.a_device(id);
        d.type = std::move(type);
        d.firmware_version = std::move(version);
        d.online = online;
        REQUIRE(w.apply(record_report{d, {}, {}, {}}) == "done");
    };
    add("a", "sensor", "1.0.0", true);
    add("b", "sensor", "1.0.0", false);
    add("c", "sensor", "1.10.0", true);
    add("d", "Sensor", "1.0.0", false);
    add("e", "sensor", {}, true);
    add("f", "", "", true); // as good as none
    add("g", {}, {}, false);
    const words all{"- - 2 1", "Sensor 1.0.0 1 0", "sensor - 1 1", "sensor 1.0.0 2 1", "sensor 1.10.0 1 1"};
    const auto report = [&](const list_query& q) { return w.reader->report_fleet(q); };
    CHECK(report_lines(report) == all);
    for (const int limit : {1, 2, 5}) CHECK(report_lines(report, {.limit = limit}) == all);
    CHECK(report_lines(report, {.device_type = "Sensor"}) == words{all[1]});
    CHECK(report_lines(report, {.limit = 1, .device_type = "sensor"}) == words{all[2], all[3], all[4]});
}

TEST_CASE_TEMPLATE("the firmware report counts what became of the updates", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const firmware old = w.saved_firmware("sensor", "1.0.0"), next = w.saved_firmware("sensor", "2.0.0"),
                   none = w.saved_firmware("arm", "1.0.0");
    const device d = w.saved_device("d"), e = w.saved_device("e");
    using std::chrono::seconds;
    ended(w, d, next, update_state::succeeded, seconds(60));
    ended(w, d, next, update_state::succeeded, seconds(61), {}, 3);
    ended(w, d, next, update_state::failed, seconds(5), "no_response", 3);
    ended(w, d, next, update_state::failed, seconds(7), "no_response");
    ended(w, d, next, update_state::failed, seconds(6), "rolled_back");
    ended(w, d, next, update_state::failed, seconds(6));
    ended(w, d, next, update_state::rejected, seconds(1), "battery");
    ended(w, d, next, update_state::expired, seconds(2), "deadline");
    for (const auto undecided : {update_state::canceled, update_state::superseded, update_state::skipped})
        ended(w, e, next, undecided, seconds(3));
    w.saved_update(d, next, update_state::downloading);
    w.saved_update(e, old);
    const words all{"arm 1.0.0 0 0 0 0 0 0 0 0 -",
                    "sensor 2.0.0 12 1 8 2 4 1 1 4 0.25; failed no_response 2 10:15:37.123Z; "
                    "expired deadline 1 10:15:32.123Z; failed  1 10:15:36.123Z; failed rolled_back 1 10:15:36.123Z; "
                    "rejected battery 1 10:15:31.123Z",
                    "sensor 1.0.0 1 1 0 0 0 0 0 0 -"};
    const auto report = [&](const list_query& q) { return w.reader->report_firmwares(q); };
    CHECK(report_lines(report) == all);
    CHECK(report_lines(report, {.limit = 1}) == all);
    CHECK(report_lines(report, {.limit = 1, .device_type = "sensor"}) == words{all[1], all[2]});
    CHECK(report_lines(report, {.firmware_id = to_string(next.id)}) == words{all[1]});
    CHECK(report_lines(report, {.device_type = "arm", .firmware_id = to_string(next.id)}).empty());
    CHECK(report_lines(report, {.firmware_id = "none"}).empty());
}

TEST_CASE_TEMPLATE("percentiles of durations are values that occurred", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const firmware one = w.saved_firmware("sensor", "1.0.0"), many = w.saved_firmware("sensor", "2.0.0"),
                   none = w.saved_firmware("sensor", "3.0.0"), far = w.saved_firmware("arm", "1.0.0");
    const device d = w.saved_device("d");
    using ms = std::chrono::milliseconds;
    ended(w, d, one, update_state::succeeded, ms(1));
    for (int i = 200; i >= 1; --i) ended(w, d, many, update_state::succeeded, ms(1001 * i));
    ended(w, d, many, update_state::failed, ms(1));
    ended(w, d, far, update_state::succeeded, std::chrono::hours(24 * 30) + ms(7));
    ended(w, d, far, update_state::succeeded, ms(-2)); // the clock was set back
    ended(w, d, far, update_state::succeeded, ms(0));
    const words all{"arm 1.0.0 3 0.0 2592000.007 2592000.007", "sensor 3.0.0 0 - - -",
                    "sensor 2.0.0 200 100.1 180.18 198.198", "sensor 1.0.0 1 0.001 0.001 0.001"};
    const auto report = [&](const list_query& q) { return w.reader->report_durations(q); };
    CHECK(report_lines(report) == all);
    CHECK(report_lines(report, {.limit = 2}) == all);
    CHECK(report_lines(report, {.device_type = "sensor", .firmware_id = to_string(many.id)}) == words{all[2]});
}

// By the database's clock, so that everything here is hours from where an answer changes.
TEST_CASE_TEMPLATE("devices are stuck when a time-out or a day has passed, and the reason is told", Engine,
                   FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    w.now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    const firmware f = w.saved_firmware("sensor", "2.0.0"), g = w.saved_firmware("arm", "7.0.0");
    using std::chrono::hours;
    std::map<std::string, timestamp> since;
    const auto at = [&](int in_hours) { return w.now + hours(in_hours); };
    struct marks {
        bool online = true;
        std::optional<int> last_seen{}, created{}, deadline{}, step{}, not_before{}; // hours from now
        int state = -1;
        int expected = 0;
    };
    const auto add = [&](const std::string& id, update_state state, marks m, const firmware& to) {
        device d = w.a_device(id, to.device_type);
        const auto when = [&](std::optional<int> h) { return h ? std::optional(at(*h)) : std::nullopt; };
        d.online = m.online;
        d.last_seen = when(m.last_seen);
        REQUIRE(w.apply(record_report{d, {}, {}, {}}) == "done");
        update u = w.an_update(d, to, state);
        u.created_at = at(m.created.value_or(-1));
        u.state_at = at(m.state);
        u.deadline = when(m.deadline);
        u.step_deadline = when(m.step);
        u.not_before = when(m.not_before);
        REQUIRE(w.apply(create_update{u, {}, {}}) == "done");
        since[id] = at(m.expected);
    };
    const auto pending = update_state::pending, downloading = update_state::downloading;
    add("a-fresh", pending, {.deadline = 700}, f);
    add("b-late", pending, {.deadline = -2, .expected = -2}, f);
    add("c-later", update_state::scheduled, {.online = false, .last_seen = -300, .deadline = -3, .expected = -3}, f);
    add("d-step", downloading, {.deadline = -5, .step = -4, .expected = -4}, g);
    add("e-busy", downloading, {.last_seen = -300, .deadline = -5, .step = 4, .state = -100}, f);
    add("f-silent", downloading, {.online = false, .last_seen = -26, .step = 1, .expected = -26}, f);
    add("g-never", pending, {.online = false, .created = -50, .deadline = 9, .expected = -50}, g);
    add("h-away", pending, {.online = false, .last_seen = -20, .created = -50, .state = -50}, f);
    add("i-waits", pending, {.last_seen = -1, .created = -90, .state = -80, .expected = -80}, f);
    add("j-backoff", pending, {.created = -90, .not_before = -2, .state = -80}, f);
    add("k-after", pending, {.created = -90, .not_before = -30, .state = -80, .expected = -30}, f);
    add("l-done", update_state::failed, {.online = false, .last_seen = -99, .step = -9}, f);

    const words all{"b-late sensor 2.0.0 pending 1 deadline_passed online",
                    "c-later sensor 2.0.0 scheduled 1 deadline_passed offline",
                    "d-step arm 7.0.0 downloading 1 step_overdue online",
                    "f-silent sensor 2.0.0 downloading 1 silent offline",
                    "g-never arm 7.0.0 pending 1 silent offline",
                    "i-waits sensor 2.0.0 pending 1 waiting online",
                    "k-after sensor 2.0.0 pending 1 waiting online"};
    const auto report = [&](const list_query& q) { return w.reader->report_stuck_devices(q); };
    CHECK(report_lines(report) == all);
    CHECK(report_lines(report, {.limit = 3}) == all);
    CHECK(report_lines(report, {.device_type = "arm"}) == words{all[2], all[4]});
    CHECK(report_lines(report, {.firmware_id = to_string(g.id)}) == words{all[2], all[4]});
    const auto page = report({});
    for (const stuck_device& s : page->items) {
        CAPTURE(s.device_id);
        CHECK(s.since == since[s.device_id]);
        CHECK(s.update_id == (*w.reader->find_open_update(s.device_id))->row.id);
        CHECK(s.last_seen == (*w.reader->find_device(s.device_id))->last_seen);
    }
}

TEST_CASE_TEMPLATE("reports refuse bad limits and the cursors of other lists", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const auto kind = [](const auto& page) { return page ? std::string("ok") : to_string(page.err().kind); };
    for (const auto& q : {list_query{.limit = 0}, list_query{.limit = 501}, list_query{.cursor = "d61"},
                          list_query{.cursor = "v61"}, list_query{.cursor = ""}}) {
        CHECK(kind(w.reader->report_fleet(q)) == "invalid");
        CHECK(kind(w.reader->report_firmwares(q)) == "invalid");
        CHECK(kind(w.reader->report_durations(q)) == "invalid");
        CHECK(kind(w.reader->report_stuck_devices(q)) == "invalid");
    }
}
