// The contract of fota_reader's lists, run over every engine: order, filters, and pages without gaps or repeats.
#include <algorithm>
#include <set>

#include "fota_world.hpp"

using namespace fb::test;

namespace {

/// All pages of `limit`, calling `between` after each; the ids that `id_of` gives.
template <class List, class IdOf, class Between>
std::vector<std::string> walk(List list, int limit, IdOf id_of, Between between) {
    std::vector<std::string> ids;
    list_query q;
    q.limit = limit;
    do {
        auto page = list(q);
        REQUIRE(page);
        CHECK(page->items.size() <= std::size_t(limit));
        for (const auto& item : page->items) ids.push_back(id_of(item));
        q.cursor = page->next;
        between();
    } while (q.cursor);
    return ids;
}

bool all_different(const std::vector<std::string>& ids) {
    return std::set<std::string>(ids.begin(), ids.end()).size() == ids.size();
}

} // namespace

TEST_CASE_TEMPLATE("devices page by device_id without gaps or repeats while others register", Engine,
                   FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    std::vector<fota_operation> ops;
    std::vector<std::string> expected;
    for (int i = 0; i < 2500; ++i) {
        expected.push_back("dev-" + std::to_string(i));
        ops.push_back(record_report{w.a_device(expected.back()), {}, {}, {}});
    }
    w.store->apply(ops);
    int registered = 0;
    auto ids = walk([&](const list_query& q) { return w.reader->list_devices(q); }, 100,
                    [](const device& d) { return d.device_id; },
                    [&] { w.saved_device("dev-0-new-" + std::to_string(registered++)); });
    CHECK(all_different(ids));
    CHECK(std::is_sorted(ids.begin(), ids.end()));
    std::sort(expected.begin(), expected.end());
    CHECK(std::includes(ids.begin(), ids.end(), expected.begin(), expected.end()));
}

TEST_CASE_TEMPLATE("updates and results page newest first without gaps or repeats while more arrive", Engine,
                   FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const device d = w.saved_device("press-7");
    const firmware f = w.saved_firmware("sensor", "2.0.0");
    std::vector<fota_operation> ops;
    std::vector<std::string> updates, results;
    for (int i = 0; i < 1200; ++i) {
        if (i % 3 == 0) w.now += std::chrono::milliseconds(1); // several share a timestamp
        const update u = w.an_update(d, f, update_state::skipped);
        const update_result r = w.a_result(d, "k" + std::to_string(i));
        updates.insert(updates.begin(), to_string(u.id));
        results.insert(results.begin(), to_string(r.id));
        ops.push_back(create_update{u, {}, {}});
        ops.push_back(record_report{{}, {}, r, {}});
    }
    w.store->apply(ops);
    int arrived = 0;
    const auto more = [&] {
        REQUIRE(w.apply(create_update{w.an_update(d, f, update_state::skipped), {}, {}}) == "done");
        REQUIRE(w.apply(record_report{{}, {}, w.a_result(d, "more" + std::to_string(arrived++)), {}}) == "done");
    };
    CHECK(walk([&](const list_query& q) { return w.reader->list_updates(q); }, 7,
               [](const update_view& v) { return to_string(v.row.id); }, [] {}) == updates);
    const auto seen_results = walk([&](const list_query& q) { return w.reader->list_results(q); }, 500,
                                   [](const result_view& v) { return to_string(v.row.id); }, more);
    CHECK(seen_results == results);
}

TEST_CASE_TEMPLATE("firmwares list newest first, and a full last page has no successor", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const firmware a = w.saved_firmware("sensor", "1.0.0"), b = w.saved_firmware("sensor", "2.0.0");
    list_query q;
    q.limit = 2;
    const auto page = w.reader->list_firmwares(q);
    REQUIRE(page->items.size() == 2);
    CHECK(page->items[0].id == b.id);
    CHECK(page->items[1].id == a.id);
    CHECK_FALSE(page->next);
}

TEST_CASE_TEMPLATE("filters are conjunctive", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const device a = w.saved_device("a", "sensor"), b = w.saved_device("b", "arm"), c = w.saved_device("c", "sensor");
    const firmware f = w.saved_firmware("sensor", "1.0.0"), g = w.saved_firmware("arm", "1.0.0");
    const update ua = w.saved_update(a, f), ub = w.saved_update(b, g),
                 done_c = w.saved_update(c, f, update_state::skipped);
    update_result ra = w.a_result(a, "ka"), rb = w.a_result(b, "kb");
    ra.update_id = ua.id;
    rb.status = result_status::failed;
    REQUIRE(w.apply_all({record_report{{}, {}, ra, {}}, record_report{{}, {}, rb, {}}}) ==
            std::vector<std::string>{"done", "done"});

    const auto ids_of = [](const auto& listed, auto id_of) {
        std::string ids;
        for (const auto& item : listed->items) ids += id_of(item);
        return ids;
    };
    const auto text_id = [](const auto& row) { return row.device_id; };
    const auto devices = [&](const list_query& q) { return ids_of(w.reader->list_devices(q), text_id); };
    const auto updates = [&](const list_query& q) { return ids_of(w.reader->list_updates(q), text_id); };
    const auto results = [&](const list_query& q) { return ids_of(w.reader->list_results(q), text_id); };
    CHECK(devices({}) == "abc");
    CHECK(devices({.device_type = "sensor"}) == "ac");
    CHECK(devices({.device_id = "a", .device_type = "arm"}) == "");
    CHECK(devices({.device_id = "b"}) == "b");

    CHECK(updates({}) == "cba");
    CHECK(updates({.device_id = "a"}) == "a");
    CHECK(updates({.device_type = "sensor"}) == "ca");
    CHECK(updates({.state = "pending"}) == "ba");
    CHECK(updates({.firmware_id = to_string(f.id)}) == "ca");
    CHECK(updates({.state = "pending", .firmware_id = to_string(f.id)}) == "a");
    CHECK(updates({.state = "no such state"}) == "");
    CHECK(updates({.device_id = "nobody"}) == "");

    CHECK(results({}) == "ba");
    CHECK(results({.device_id = "b"}) == "b");
    CHECK(results({.device_type = "sensor"}) == "a");
    CHECK(results({.status = "failed"}) == "b");
    CHECK(results({.firmware_id = to_string(f.id)}) == "a");

    CHECK(w.reader->list_firmwares({.device_type = "arm"})->items.at(0).id == g.id);
    CHECK(w.reader->list_firmwares({.state = "revoked"})->items.empty());
    CHECK(w.reader->list_firmwares({.firmware_id = to_string(f.id)})->items.size() == 1);
    CHECK(*w.reader->devices_of_type("sensor") == std::vector<std::string>{"a", "c"});
    CHECK(w.reader->devices_of_type("none")->empty());

    const auto open = w.reader->open_updates();
    REQUIRE(open->size() == 2);
    CHECK(open->at(0).row.id == ua.id);
    CHECK(open->at(1).row.id == ub.id);
    CHECK((*w.reader->find_latest_update("c"))->row.id == done_c.id);
    CHECK_FALSE(*w.reader->find_latest_update("nobody"));
}

TEST_CASE_TEMPLATE("a limit outside 1-500 and a cursor that the list did not give are invalid", Engine,
                   FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    w.saved_device("a");
    w.saved_device("b");
    const auto kind = [](const auto& listed) { return listed ? std::string("ok") : to_string(listed.err().kind); };
    for (const int limit : {0, -1, 501}) CHECK(kind(w.reader->list_devices({.limit = limit})) == "invalid");
    CHECK(kind(w.reader->list_devices({.limit = 500})) == "ok");
    const auto cursor = w.reader->list_devices({.limit = 1})->next;
    REQUIRE(cursor);
    CHECK(kind(w.reader->list_updates({.cursor = cursor})) == "invalid");
    for (const std::string& text : {std::string(), std::string("x"), std::string("dzz"), std::string("d6"),
                                    *cursor + "0", *cursor + *cursor, std::string(100'000, 'd')}) {
        CHECK(kind(w.reader->list_devices({.cursor = text})) == "invalid");
        CHECK(kind(w.reader->list_firmwares({.cursor = text})) == "invalid");
        CHECK(kind(w.reader->list_results({.cursor = text})) == "invalid");
    }
}
