// The contract of owners and hints, over every engine: whose a device is decides who may write for it.
#include "fota_world.hpp"

using namespace fb::test;

namespace {

gateway a_gateway(std::uint8_t number) {
    gateway g;
    g.id.bytes.fill(number);
    g.name = "gateway " + std::to_string(number);
    g.peer_url = "https://gateway:8443";
    return g;
}

ownership owner_of(const device& d) { return {d.device_id, d.gateway_id, d.session_epoch}; }

record_report owned(const device& d, const ownership& as_read) {
    record_report op{d, {}, {}, {}};
    op.owner = as_read;
    return op;
}

hint a_hint(const gateway& to, const device& about, timestamp now) {
    return {new_id<hint_uuid>(now), now, to.id, about.id, "look", {}};
}

} // namespace

TEST_CASE_TEMPLATE("a device is claimed by compare-and-set on its owner and epoch", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    REQUIRE(w.apply(gateway_started{a_gateway(1)}) == "done");
    REQUIRE(w.apply(gateway_started{a_gateway(2)}) == "done");
    device d = w.saved_device("dev");
    const auto nobody = owner_of(d);
    device claimed = d;
    claimed.gateway_id = a_gateway(1).id;
    claimed.session_epoch = 1;
    CHECK(w.apply(owned(claimed, nobody)) == "done");
    device rival = d;
    rival.gateway_id = a_gateway(2).id;
    rival.session_epoch = 1;
    CHECK(w.apply(owned(rival, nobody)) == "conflict");
    CHECK((*w.reader->find_device("dev"))->gateway_id == a_gateway(1).id);
    CHECK(w.apply(owned(rival, {"dev", a_gateway(1).id, 2})) == "conflict"); // another epoch
    rival.session_epoch = 2;
    CHECK(w.apply(owned(rival, owner_of(claimed))) == "done");
    CHECK((*w.reader->find_device("dev"))->session_epoch == 2);
}

TEST_CASE_TEMPLATE("what the owner before decided is a conflict, whole", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    REQUIRE(w.apply(gateway_started{a_gateway(1)}) == "done");
    const device d = w.saved_device("dev");
    const update u = w.saved_update(d, w.saved_firmware("sensor", "2.0.0"));
    device taken = d;
    taken.gateway_id = a_gateway(1).id;
    taken.session_epoch = 1;
    REQUIRE(w.apply(owned(taken, owner_of(d))) == "done");
    record_report late{
        {}, w.to_state(u, update_state::offered), w.a_result(d, "key"), {w.an_event(u, update_state::offered)}};
    late.owner = owner_of(d);
    CHECK(w.apply(late) == "conflict");
    CHECK(w.stored(u.id).row.state == update_state::pending);
    CHECK(w.reader->events_of(u.id)->empty());
    CHECK(w.reader->list_results({})->items.empty());
    late.owner = owner_of(taken);
    CHECK(w.apply(late) == "done");
    CHECK(w.apply(late) == "duplicate"); // known before it is judged
}

TEST_CASE_TEMPLATE("in one batch, each operation is judged by its own device's owner", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    REQUIRE(w.apply(gateway_started{a_gateway(1)}) == "done");
    std::vector<fota_operation> batch;
    for (const char* id : {"a", "b", "c", "d"}) {
        device d = w.a_device(id);
        d.gateway_id = a_gateway(1).id;
        d.session_epoch = 1;
        REQUIRE(w.apply(owned(d, {id, {}, 0})) == "done"); // nobody's: there is no such row
        d.ip = "192.0.2.1";
        batch.push_back(owned(d, {id, a_gateway(1).id, id[0] == 'b' ? 7 : 1}));
    }
    CHECK(w.apply_all(batch) == std::vector<std::string>{"done", "conflict", "done", "done"});
    CHECK((*w.reader->find_device("a"))->ip == "192.0.2.1");
    CHECK_FALSE((*w.reader->find_device("b"))->ip);
}

TEST_CASE_TEMPLATE("a device that another gateway registered meanwhile is a conflict", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    REQUIRE(w.apply(gateway_started{a_gateway(1)}) == "done");
    REQUIRE(w.apply(gateway_started{a_gateway(2)}) == "done");
    device first = w.a_device("dev");
    first.gateway_id = a_gateway(1).id;
    first.session_epoch = 1;
    device second = w.a_device("dev");
    second.gateway_id = a_gateway(2).id;
    second.session_epoch = 1;
    CHECK(w.apply(owned(first, {"dev", {}, 0})) == "done");
    CHECK(w.apply(owned(second, {"dev", {}, 0})) == "conflict");
    CHECK((*w.reader->find_device("dev"))->id == first.id);
}

TEST_CASE_TEMPLATE("a start sets its own devices offline, or takes all when it is alone", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    for (const std::uint8_t n : {1, 2}) REQUIRE(w.apply(gateway_started{a_gateway(n)}) == "done");
    const firmware f = w.saved_firmware("sensor", "2.0.0");
    for (const std::uint8_t n : {1, 2}) {
        device d = w.a_device("of-" + std::to_string(n));
        d.gateway_id = a_gateway(n).id;
        d.session_epoch = 5;
        d.online = true;
        REQUIRE(w.apply(record_report{d, {}, {}, {}}) == "done");
        w.saved_update(d, f);
    }
    w.saved_update(w.saved_device("nobodys"), f);
    CHECK(w.reader->open_updates()->size() == 3);
    REQUIRE(w.reader->open_updates(a_gateway(2).id)->size() == 1);
    CHECK(w.reader->open_updates(a_gateway(2).id)->front().device_id == "of-2");

    REQUIRE(w.apply(gateway_started{a_gateway(1)}) == "done");
    CHECK_FALSE((*w.reader->find_device("of-1"))->online);
    CHECK((*w.reader->find_device("of-2"))->online);
    CHECK((*w.reader->find_device("of-1"))->session_epoch == 5);

    REQUIRE(w.apply(gateway_started{a_gateway(1), true}) == "done");
    CHECK(w.reader->open_updates(a_gateway(1).id)->size() == 3);
    CHECK_FALSE((*w.reader->find_device("of-2"))->online);
    CHECK((*w.reader->find_device("of-2"))->session_epoch == 6);
    CHECK((*w.reader->find_device("of-1"))->session_epoch == 5);
}

TEST_CASE_TEMPLATE("a hint goes with its operation, or fails it", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    REQUIRE(w.apply(gateway_started{a_gateway(1)}) == "done");
    const device d = w.saved_device("dev");
    record_report told{d, {}, {}, {}};
    told.tell = a_hint(a_gateway(1), d, w.now);
    CHECK(w.apply(told) == "done");
    patch_device named{"dev", "the pump", {}, {}, a_hint(a_gateway(1), d, w.now)};
    CHECK(w.apply(named) == "done");
    create_update made{w.an_update(d, w.saved_firmware("sensor", "2.0.0")), {}, {}, a_hint(a_gateway(1), d, w.now)};
    CHECK(w.apply(made) == "done");
    told.device_row->ip = "192.0.2.9";
    told.tell = a_hint(a_gateway(9), d, w.now); // there is no such gateway
    CHECK(w.apply(told) == "invalid");
    CHECK_FALSE((*w.reader->find_device("dev"))->ip);
}

TEST_CASE_TEMPLATE("a report leaves what an operator set alone", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    device d = w.saved_device("dev");
    d.name = "told by itself";
    REQUIRE(w.apply(record_report{d, {}, {}, {}}) == "done");
    CHECK((*w.reader->find_device("dev"))->name == "told by itself");
    REQUIRE(w.apply(patch_device{"dev", "the pump", "pump", R"(["cellar"])"}) == "done");
    d.ip = "192.0.2.1"; // by somebody who has not read the row since
    REQUIRE(w.apply(record_report{d, {}, {}, {}}) == "done");
    const device now = **w.reader->find_device("dev");
    CHECK(now.name == "the pump");
    CHECK(now.type == "pump");
    CHECK(now.tags == R"(["cellar"])");
    CHECK(now.name_by_operator);
    CHECK(now.type_by_operator);
    CHECK(now.ip == "192.0.2.1");
}
