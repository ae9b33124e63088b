// What queries and writes cost may depend on what they answer, not on how large the fleet is: each reads what an index
// leads to. FB_LONG=1: with 100 000 devices and 5 million results, and says how long each took.
#include <chrono>
#include <cstdlib>
#include <functional>

#include "fota_world.hpp"
#include "work_meter.hpp"

using namespace fb::test;

namespace {

const bool full_size = std::getenv("FB_LONG") != nullptr;
const fleet_size size = full_size ? fleet_size{100'000, 2'500'000} : fleet_size{2'000, 20'000};

constexpr std::int64_t begin_ms = 1767225600000; // as fleet_data.hpp has it

template <class Id>
Id made_id(int kind, std::int64_t ms, std::int64_t i) {
    Id id = *parse_id<Id>("00000000-0000-7000-8000-000000000000");
    for (std::size_t byte = 0; byte < 6; ++byte) {
        id.bytes[byte] = static_cast<std::uint8_t>(ms >> (40 - 8 * byte));
        id.bytes[10 + byte] = static_cast<std::uint8_t>(i >> (40 - 8 * byte));
    }
    id.bytes[9] = static_cast<std::uint8_t>(kind);
    return id;
}
update_uuid update_id(std::int64_t i) { return made_id<update_uuid>(3, begin_ms + i * 1000, i); }

struct measured {
    std::string name;
    std::function<std::size_t(fota_reader&)> run; // how many rows came back
};

template <class Page>
std::size_t count_of(const Page& page) {
    REQUIRE_MESSAGE(page, page.err().text);
    return page->items.size();
}

std::vector<measured> point_queries() {
    const auto firmware = made_id<firmware_uuid>(2, begin_ms + 3, 2003); // of type-2
    const std::string firmware_text = to_string(firmware);
    const auto devices = [](list_query q) { return [q](fota_reader& r) { return count_of(r.list_devices(q)); }; };
    const auto updates = [](list_query q) { return [q](fota_reader& r) { return count_of(r.list_updates(q)); }; };
    const auto results = [](list_query q) { return [q](fota_reader& r) { return count_of(r.list_results(q)); }; };
    const auto found = [](const auto& row) { return static_cast<std::size_t>(row && *row); };
    return {
        {"device by its text id", [=](fota_reader& r) { return found(r.find_device("device-77")); }},
        {"device by its id",
         [=](fota_reader& r) { return found(r.find_device(made_id<device_uuid>(1, begin_ms, 7))); }},
        {"firmware by its id", [=](fota_reader& r) { return found(r.find_firmware(firmware)); }},
        {"firmware by version", [=](fota_reader& r) { return found(r.find_firmware("type-2", "1.3.0")); }},
        {"update by its id", [=](fota_reader& r) { return found(r.find_update(update_id(99))); }},
        {"open update of a device", [=](fota_reader& r) { return found(r.find_open_update("device-10")); }},
        {"latest update of a device", [=](fota_reader& r) { return found(r.find_latest_update("device-77")); }},
        {"events of an update", [](fota_reader& r) { return r.events_of(update_id(99))->size(); }},
        {"devices", devices({})},
        {"devices of a type", devices({.device_type = "type-4"})},
        {"devices of no type", devices({.device_type = "none"})},
        {"firmwares of a type", [](fota_reader& r) { return count_of(r.list_firmwares({.device_type = "type-4"})); }},
        {"updates", updates({})},
        {"updates in a common state", updates({.state = "failed"})},
        {"updates in a rare state", updates({.state = "verifying"})},
        {"updates of a device", updates({.device_id = "device-77"})},
        {"updates to a firmware", updates({.firmware_id = firmware_text})},
        {"updates to a firmware in a state", updates({.state = "failed", .firmware_id = firmware_text})},
        {"updates of a type", updates({.device_type = "type-4"})},
        {"updates of no type", updates({.device_type = "none"})},
        {"results", results({})},
        {"results of a device", results({.device_id = "device-77"})},
        {"failed results", results({.status = "failed"})},
        {"partial results", results({.status = "partial"})},
        {"results of a type", results({.device_type = "type-4"})},
        {"results of no type", results({.device_type = "none"})},
        {"a token", [=](fota_reader& r) { return found(r.find_token("hash")); }},
        {"an answer given", [=](fota_reader& r) { return found(r.find_idempotency("key")); }},
    };
}

/// The second page of a list: from the middle of an index.
std::vector<measured> second_pages() {
    const auto second = [](auto list) {
        return [list](fota_reader& r) {
            list_query q;
            q.cursor = (r.*list)(q)->next;
            REQUIRE(q.cursor);
            return count_of((r.*list)(q));
        };
    };
    return {{"devices, second page", second(&fota_reader::list_devices)},
            {"updates, second page", second(&fota_reader::list_updates)},
            {"results, second page", second(&fota_reader::list_results)}};
}

template <class Engine>
work_done measure(const Engine& engine, fota_store& store, const measured& each) {
    const auto meter = meter_of(engine, 1); // the store's own
    auto reader = store.open_reader();
    REQUIRE(reader);
    const auto began = std::chrono::steady_clock::now();
    const std::size_t rows = each.run(**reader);
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
    reader->reset();
    const work_done done = meter.stop();
    if (full_size) MESSAGE(each.name << ": " << rows << " rows, " << took.count() << " ms, " << done.steps << " steps");
    return done;
}

// Of a page of 51 rows with their joins, and some for looking; a scan of the smallest table takes more.
std::int64_t bound_of(const sqlite_engine&) { return 20'000; }
// PostgreSQL's planner may prefer to read all devices of a type into memory (a tenth of them: 10,771 rows in 57 ms).
std::int64_t bound_of(const postgres_engine&) { return full_size ? 20'000 : 1'900; }

/// A report and a trigger as the service sends them.
std::vector<fota_operation> usual_writes(const update& open, const firmware& next) {
    device d;
    d.id = new_id<device_uuid>(timestamp{});
    d.device_id = "device-10";
    update_result r;
    r.id = new_id<result_uuid>(timestamp{});
    r.device_id = open.device_id;
    r.update_id = open.id;
    r.event_key = "an event";
    update_change ended{open, open.state_version};
    ended.wanted.state = update_state::failed;
    const update_event event{new_id<event_uuid>(timestamp{}), open.id, {}, {}, update_state::failed, 1, "report", {}};
    update again = open;
    again.id = new_id<update_uuid>(timestamp{});
    again.firmware_id = next.id;
    again.state = update_state::pending;
    return {record_report{d, ended, r, {event}},
            save_firmware{next},
            create_update{again, {}, {}},
            set_firmware_state{next.id, firmware_state::revoked},
            patch_device{"device-9", "name", {}, {}},
            save_idempotency{{"key", "hash", 201, "{}", {}}},
            prune_idempotency{{}}};
}

} // namespace

TEST_CASE_TEMPLATE("what a query or a write costs does not grow with the fleet", Engine, sqlite_engine,
                   postgres_engine) {
    Engine engine;
    engine.open_fota(); // makes the tables
    fill_fleet(engine, size);
    auto store = engine.open_fota();
    auto queries = point_queries();
    for (auto& each : second_pages()) queries.push_back(std::move(each));
    for (const measured& each : queries) {
        const work_done done = measure(engine, *store, each);
        CAPTURE(each.name);
        CAPTURE(done.dearest);
        CHECK(done.sequential_in == "");
        CHECK(done.steps < bound_of(engine));
    }

    const update open = (*(*store->open_reader())->find_open_update("device-10")).value().row;
    firmware next = *(*(*store->open_reader())->find_firmware("type-0", "1.0.0"));
    next.id = new_id<firmware_uuid>(timestamp{});
    next.version = "99.0.0";
    store.reset();
    const auto meter = meter_of(engine, 0);
    for (const auto& outcome : engine.open_fota()->apply(usual_writes(open, next))) CHECK(word(outcome) == "done");
    const work_done done = meter.stop();
    CAPTURE(done.dearest);
    CHECK(done.sequential_in == "");
    CHECK(done.steps < bound_of(engine));
}
