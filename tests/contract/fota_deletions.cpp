// The contract of what takes rows away, over every engine: devices with their history, firmwares that nobody needs, and
// the part of the history that may go.
#include "fota_world.hpp"

#include <algorithm>

using namespace fb::test;
using namespace std::chrono_literals;

namespace {

std::size_t results_in(fota_reader& reader) {
    const auto all = reader.list_results({});
    REQUIRE(all);
    return all->items.size();
}

/// The ids alone.
template <class Id>
std::vector<Id> ids(const result<prunable_rows<Id>>& rows) {
    REQUIRE(rows);
    std::vector<Id> out;
    for (const auto& [time, id] : *rows) out.push_back(id);
    return out;
}

template <class World>
update_result result_at(World& w, const device& d, const std::string& key, timestamp at) {
    update_result r = w.a_result(d, key);
    r.received_at = at;
    REQUIRE(w.apply(record_report{{}, {}, r, {}}) == "done");
    return r;
}

template <class World>
update_event event_at(World& w, const update& u, timestamp at) {
    update_event e = w.an_event(u, update_state::offered);
    e.at = at;
    REQUIRE(w.apply(record_report{{}, {}, {}, {e}}) == "done");
    return e;
}

} // namespace

TEST_CASE_TEMPLATE("a device goes with its whole history, and nobody else's", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const device gone = w.saved_device("press-7"), stays = w.saved_device("press-8");
    const firmware f = w.saved_firmware("sensor", "2.0.0");
    std::vector<update> updates;
    for (const device& d : {gone, stays}) {
        const update u = w.saved_update(d, f, update_state::failed);
        updates.push_back(u);
        event_at(w, u, w.now);
        update_result r = w.a_result(d, d.device_id + ":solicited");
        r.update_id = u.id;
        REQUIRE(w.apply(record_report{{}, {}, r, {}}) == "done");
        result_at(w, d, d.device_id + ":unsolicited", w.now);
    }
    CHECK(w.apply(delete_device{"press-7"}) == "done");
    CHECK_FALSE(*w.reader->find_device("press-7"));
    CHECK_FALSE(*w.reader->find_update(updates[0].id));
    CHECK(w.reader->events_of(updates[0].id)->empty());
    CHECK(*w.reader->find_device("press-8"));
    CHECK(*w.reader->find_update(updates[1].id));
    CHECK(w.reader->events_of(updates[1].id)->size() == 1);
    CHECK(results_in(*w.reader) == 2);
    CHECK(w.apply(delete_device{"press-7"}) == "not_found");
    CHECK(w.apply(delete_device{"press-9"}) == "not_found");
    const device again = w.saved_device("press-7");
    CHECK(again.id != gone.id);
    result_at(w, again, "press-7:unsolicited", w.now); // its keys are free again
}

TEST_CASE_TEMPLATE("a device with an open update goes only together with it", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const device d = w.saved_device("press-7");
    const update u = w.saved_update(d, w.saved_firmware("sensor", "2.0.0"), update_state::installing);
    CHECK(w.apply(delete_device{"press-7"}) == "conflict");
    CHECK(*w.reader->find_update(u.id));
    CHECK(w.apply(delete_device{"press-7", true}) == "done");
    CHECK_FALSE(*w.reader->find_update(u.id));
}

TEST_CASE_TEMPLATE("a firmware that nothing names goes; one that is needed does not", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const firmware unused = w.saved_firmware("sensor", "1.0.0"), offered = w.saved_firmware("sensor", "2.0.0"),
                   installed = w.saved_firmware("sensor", "3.0.0");
    device d = w.a_device("press-7");
    d.firmware_version = "3.0.0";
    REQUIRE(w.apply(record_report{d, {}, {}, {}}) == "done");
    w.saved_update(d, offered, update_state::offered);
    CHECK(w.apply(delete_firmware{offered.id}) == "conflict");
    CHECK(w.apply(delete_firmware{installed.id}) == "conflict");
    CHECK(w.apply(delete_firmware{unused.id}) == "done");
    CHECK_FALSE(*w.reader->find_firmware(unused.id));
    CHECK(w.apply(delete_firmware{unused.id}) == "not_found");
    CHECK(w.reader->list_firmwares({})->items.size() == 2);
    w.saved_firmware("sensor", "1.0.0"); // the version is free again
}

TEST_CASE_TEMPLATE("a firmware that ended updates name stays readable, revoked and without a file", Engine,
                   FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const device d = w.saved_device("press-7");
    firmware f = w.a_firmware("sensor", "2.0.0");
    f.checksum = "sha256:" + std::string(64, 'b');
    REQUIRE(w.apply(save_firmware{f}) == "done");
    const firmware other = w.saved_firmware("sensor", "3.0.0");
    const update u = w.saved_update(d, f, update_state::succeeded);
    CHECK(w.reader->needed_checksums()->size() == 2);
    CHECK(w.apply(delete_firmware{f.id}) == "done");
    CHECK(w.apply(delete_firmware{f.id}) == "duplicate");
    const auto kept = *w.reader->find_firmware(f.id);
    REQUIRE(kept);
    CHECK(kept->state == firmware_state::revoked);
    CHECK(kept->url == "");
    CHECK(kept->checksum == f.checksum);
    CHECK(w.stored(u.id).firmware_version == "2.0.0");
    CHECK(*w.reader->needed_checksums() == std::vector<std::string>{other.checksum});
    REQUIRE(w.apply(delete_device{"press-7"}) == "done");
    CHECK(w.apply(delete_firmware{f.id}) == "done"); // nothing names it any more
    CHECK_FALSE(*w.reader->find_firmware(f.id));
}

TEST_CASE_TEMPLATE("a revoked firmware still needs its file", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const firmware f = w.saved_firmware("sensor", "2.0.0");
    REQUIRE(w.apply(set_firmware_state{f.id, firmware_state::revoked}) == "done");
    CHECK(*w.reader->needed_checksums() == std::vector<std::string>{f.checksum});
}

TEST_CASE_TEMPLATE("old results may go but for a device's newest and those of open updates", Engine,
                   FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const device a = w.saved_device("a"), b = w.saved_device("b");
    const update open = w.saved_update(b, w.saved_firmware("sensor", "2.0.0"), update_state::pending);
    const auto a1 = result_at(w, a, "a1", w.now - 30h), a2 = result_at(w, a, "a2", w.now - 20h);
    result_at(w, a, "a3", w.now - 10h); // its newest
    update_result of_open = w.a_result(b, "b1");
    of_open.update_id = open.id;
    of_open.received_at = w.now - 30h;
    REQUIRE(w.apply(record_report{{}, {}, of_open, {}}) == "done");
    result_at(w, b, "b2", w.now - 1h);

    prunable_query<result_uuid> q{w.now, {}, 10};
    CHECK(ids(w.reader->prunable_results(q)) == std::vector<result_uuid>{a1.id, a2.id});
    q.older_than = w.now - 20h; // of that very moment: not older
    CHECK(ids(w.reader->prunable_results(q)) == std::vector<result_uuid>{a1.id});
    q = {w.now, {}, 1};
    CHECK(ids(w.reader->prunable_results(q)) == std::vector<result_uuid>{a1.id});
    q.after = std::pair(a1.received_at, a1.id);
    CHECK(ids(w.reader->prunable_results(q)) == std::vector<result_uuid>{a2.id});
    REQUIRE(w.apply(prune_history{{a1.id, a2.id}, {}}) == "done");
    CHECK(results_in(*w.reader) == 3);
    CHECK(w.apply(prune_history{{a1.id}, {}}) == "done");                     // gone already
    CHECK(w.apply(record_report{{}, {}, w.a_result(a, "a1"), {}}) == "done"); // its key is forgotten with it
    CHECK(w.apply(record_report{{}, {}, w.a_result(a, "a3"), {}}) == "duplicate");
}

TEST_CASE_TEMPLATE("old events of ended updates may go, none of open ones", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const firmware f = w.saved_firmware("sensor", "2.0.0");
    const update ended = w.saved_update(w.saved_device("a"), f, update_state::failed);
    const update open = w.saved_update(w.saved_device("b"), f, update_state::installing);
    const auto first = event_at(w, ended, w.now - 30h), second = event_at(w, ended, w.now - 20h);
    event_at(w, open, w.now - 30h);
    const auto recent = event_at(w, ended, w.now - 1h);
    prunable_query<event_uuid> q{w.now - 10h, {}, 10};
    CHECK(ids(w.reader->prunable_events(q)) == std::vector<event_uuid>{first.id, second.id});
    q.after = std::pair(first.at, first.id);
    CHECK(ids(w.reader->prunable_events(q)) == std::vector<event_uuid>{second.id});
    REQUIRE(w.apply(prune_history{{}, {first.id, second.id}}) == "done");
    const auto left = w.reader->events_of(ended.id);
    REQUIRE(left->size() == 1);
    CHECK(left->front().id == recent.id);
    CHECK(w.reader->events_of(open.id)->size() == 1);
}

TEST_CASE_TEMPLATE("the time of the oldest of the newest rows", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    CHECK_FALSE(*w.reader->time_of_result(0));
    CHECK_FALSE(*w.reader->time_of_event(0));
    const device d = w.saved_device("a");
    const update u = w.saved_update(d, w.saved_firmware("sensor", "2.0.0"), update_state::failed);
    for (const auto ago : {3h, 2h, 1h}) {
        result_at(w, d, "key " + std::to_string(ago.count()), w.now - ago);
        event_at(w, u, w.now - ago);
    }
    CHECK(*w.reader->time_of_result(0) == w.now - 1h);
    CHECK(*w.reader->time_of_result(2) == w.now - 3h);
    CHECK_FALSE(*w.reader->time_of_result(3));
    CHECK(*w.reader->time_of_event(1) == w.now - 2h);
    CHECK_FALSE(*w.reader->time_of_event(3));
}
