// The contract of fota_store::apply, run over every engine: what each operation changes, each outcome it can have, and
// that a refused operation changes nothing.
#include "fota_world.hpp"

using namespace fb::test;

TEST_CASE_TEMPLATE("a device comes back exactly as it was saved", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    device d = w.a_device("press-7");
    d.name = "Press 7";
    d.firmware_version = "1.0.0";
    d.last_seen = w.now;
    d.ip = "10.0.0.7";
    d.hw_rev = "B";
    d.tags = R"(["hall-2"])";
    d.attributes = R"({"battery":80})";
    d.online = true;
    d.name_by_operator = true;
    d.type_by_operator = true;
    d.cert_fingerprint = "ab:cd";
    d.updates_blocked_until = w.now + std::chrono::hours(24);
    d.fail_streak = 3;
    REQUIRE(w.apply(record_report{d, {}, {}, {}}) == "done");
    const auto by_text = w.reader->find_device("press-7");
    REQUIRE(*by_text);
    const device& got = **by_text;
    CHECK(got.id == d.id);
    CHECK(got.type == d.type);
    CHECK(got.name == d.name);
    CHECK(got.firmware_version == d.firmware_version);
    CHECK(got.last_seen == d.last_seen);
    CHECK(got.ip == d.ip);
    CHECK(got.hw_rev == d.hw_rev);
    CHECK(got.tags == d.tags);
    CHECK(got.attributes == d.attributes);
    CHECK(got.online);
    CHECK(got.name_by_operator);
    CHECK(got.type_by_operator);
    CHECK(got.cert_fingerprint == d.cert_fingerprint);
    CHECK(got.first_seen == d.first_seen);
    CHECK(got.updates_blocked_until == d.updates_blocked_until);
    CHECK(got.fail_streak == 3);
    CHECK((*w.reader->find_device(d.id))->device_id == "press-7");
    CHECK_FALSE(*w.reader->find_device("press-8"));
    CHECK_FALSE(*w.reader->find_device(new_id<device_uuid>(w.now)));
}

TEST_CASE_TEMPLATE("a report of a known device replaces its row but for id and first_seen", Engine,
                   FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const device old = w.saved_device("press-7");
    device fresh = w.a_device("press-7", "arm");
    fresh.first_seen = w.now + std::chrono::hours(1);
    fresh.name = "Press";
    REQUIRE(w.apply(record_report{fresh, {}, w.a_result(fresh, "k1"), {}}) == "done");
    const device got = **w.reader->find_device("press-7");
    CHECK(got.id == old.id);
    CHECK(got.first_seen == old.first_seen);
    CHECK(got.type == "arm");
    CHECK(got.name == "Press");
    const auto results = w.reader->list_results({});
    REQUIRE(results->items.size() == 1); // booked on the stored id, not on the one the caller made up
    CHECK(results->items[0].row.device_id == old.id);
}

TEST_CASE_TEMPLATE("a result comes back as saved and its event_key counts once", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    device d = w.saved_device("press-7");
    const update u = w.saved_update(d, w.saved_firmware("sensor", "2.0.0"));
    update_result r = w.a_result(d, "u:1:failed");
    r.firmware_version = "1.0.0";
    r.status = result_status::partial;
    r.update_id = u.id;
    r.attempt = 2;
    r.code = "E1";
    r.message = "flash worn";
    r.device_time = "1970-01-01T00:00:09Z";
    r.late = true;
    REQUIRE(w.apply(record_report{{}, {}, r, {}}) == "done");

    d.name = "must not appear";
    update_result again = w.a_result(d, "u:1:failed");
    const update_change change = w.to_state(u, update_state::failed);
    CHECK(w.apply(record_report{d, change, again, {w.an_event(u, update_state::failed)}}) == "duplicate");
    CHECK_FALSE((*w.reader->find_device("press-7"))->name);
    CHECK(w.stored(u.id).row.state == update_state::pending);
    CHECK(w.reader->events_of(u.id)->empty());

    const auto listed = w.reader->list_results({});
    REQUIRE(listed->items.size() == 1);
    const update_result& got = listed->items[0].row;
    CHECK(listed->items[0].device_id == "press-7");
    CHECK(got.id == r.id);
    CHECK(got.device_id == d.id);
    CHECK(got.firmware_version == r.firmware_version);
    CHECK(got.status == r.status);
    CHECK(got.received_at == r.received_at);
    CHECK(got.update_id == r.update_id);
    CHECK(got.attempt == r.attempt);
    CHECK(got.code == r.code);
    CHECK(got.message == r.message);
    CHECK(got.device_time == r.device_time);
    CHECK(got.event_key == r.event_key);
    CHECK(got.late);
}

TEST_CASE_TEMPLATE("a result without an event_key, or of an unknown device or update, is refused whole", Engine,
                   FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const device d = w.saved_device("press-7");
    CHECK(w.apply(record_report{{}, {}, w.a_result(d, ""), {}}) == "invalid");
    CHECK(w.apply(record_report{w.a_device("other"), {}, w.a_result(w.a_device("nobody"), "k"), {}}) == "invalid");
    update_result r = w.a_result(d, "k2");
    r.update_id = new_id<update_uuid>(w.now);
    CHECK(w.apply(record_report{{}, {}, r, {}}) == "invalid");
    CHECK(w.reader->list_results({})->items.empty());
    CHECK_FALSE(*w.reader->find_device("other"));
}

TEST_CASE_TEMPLATE("an update comes back exactly as it was changed, one state_version on", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const device d = w.saved_device("press-7");
    const firmware f = w.saved_firmware("sensor", "2.0.0");
    update u = w.saved_update(d, f);
    u.sent_at = w.now;
    u.state = update_state::downloading;
    u.attempt = 2;
    u.requested_by = "anna";
    u.not_before = w.now + std::chrono::minutes(1);
    u.deadline = w.now + std::chrono::days(30);
    u.created_at = w.now - std::chrono::minutes(1);
    u.state_at = w.now + std::chrono::milliseconds(1);
    u.step_deadline = w.now + std::chrono::minutes(10);
    u.offer_no = 3;
    u.percent = 42;
    u.bytes_sent = 5'000'000'000;
    u.from_version = "1.0.0";
    u.error_code = "c";
    u.error_text = "t";
    u.allow_downgrade = true;
    const update_event first = w.an_event(u, update_state::offered), second = w.an_event(u, update_state::downloading);
    REQUIRE(w.apply(record_report{{}, update_change{u, 0}, {}, {first, second}}) == "done");

    const update_view got = w.stored(u.id);
    CHECK(got.device_id == "press-7");
    CHECK(got.firmware_version == "2.0.0");
    CHECK(got.row.device_id == d.id);
    CHECK(got.row.firmware_id == f.id);
    CHECK(got.row.sent_at == u.sent_at);
    CHECK(got.row.state == u.state);
    CHECK(got.row.state_version == 1);
    CHECK(got.row.attempt == 2);
    CHECK(got.row.requested_by == u.requested_by);
    CHECK(got.row.not_before == u.not_before);
    CHECK(got.row.deadline == u.deadline);
    CHECK(got.row.created_at == u.created_at);
    CHECK(got.row.state_at == u.state_at);
    CHECK(got.row.step_deadline == u.step_deadline);
    CHECK(got.row.offer_no == 3);
    CHECK(got.row.percent == 42);
    CHECK(got.row.bytes_sent == 5'000'000'000);
    CHECK(got.row.from_version == u.from_version);
    CHECK(got.row.error_code == u.error_code);
    CHECK(got.row.error_text == u.error_text);
    CHECK(got.row.allow_downgrade);

    const auto events = w.reader->events_of(u.id);
    REQUIRE(events->size() == 2);
    CHECK(events->at(0).id == first.id);
    CHECK(events->at(0).to_state == update_state::offered);
    CHECK(events->at(0).from_state == first.from_state);
    CHECK(events->at(0).cause == "test");
    CHECK_FALSE(events->at(0).detail);
    CHECK(events->at(1).id == second.id);
}

TEST_CASE_TEMPLATE("of two changes from the same state_version the second is a conflict and changes nothing", Engine,
                   FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    device d = w.saved_device("press-7");
    const update u = w.saved_update(d, w.saved_firmware("sensor", "2.0.0"));
    REQUIRE(w.apply(record_report{{}, w.to_state(u, update_state::offered), {}, {}}) == "done");
    d.name = "must not appear";
    CHECK(w.apply(record_report{
              d, w.to_state(u, update_state::canceled), w.a_result(d, "k"), {w.an_event(u, update_state::canceled)}}) ==
          "conflict");
    CHECK(w.stored(u.id).row.state == update_state::offered);
    CHECK(w.stored(u.id).row.state_version == 1);
    CHECK_FALSE((*w.reader->find_device("press-7"))->name);
    CHECK(w.reader->list_results({})->items.empty());
    CHECK(w.reader->events_of(u.id)->empty());
    CHECK(w.apply(record_report{{}, w.to_state(w.an_update(d, {}), update_state::offered), {}, {}}) == "conflict");
}

TEST_CASE_TEMPLATE("a device has one open update; a new one supersedes those it names", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const device d = w.saved_device("press-7");
    const firmware f = w.saved_firmware("sensor", "2.0.0"), g = w.saved_firmware("sensor", "3.0.0");
    const update older = w.saved_update(d, f);
    CHECK(w.apply(create_update{w.an_update(d, f, update_state::skipped), {}, {}}) == "done");
    const update newer = w.an_update(d, g);
    CHECK(w.apply(create_update{newer, {}, {}}) == "conflict");
    CHECK((*w.reader->find_open_update("press-7"))->row.id == older.id);

    update_change stale = w.to_state(older, update_state::superseded);
    stale.expected_version = 9;
    CHECK(w.apply(create_update{newer, {stale}, {}}) == "conflict");
    CHECK(w.apply(create_update{
              newer,
              {w.to_state(older, update_state::superseded)},
              {w.an_event(older, update_state::superseded), w.an_event(newer, update_state::pending)}}) == "done");
    CHECK(w.stored(older.id).row.state == update_state::superseded);
    CHECK((*w.reader->find_open_update("press-7"))->row.id == newer.id);
    CHECK((*w.reader->find_latest_update("press-7"))->row.id == newer.id);
    CHECK(w.reader->events_of(newer.id)->size() == 1);

    // A failed one may not be opened again beside another open one.
    CHECK(w.apply(record_report{{},
                                update_change{[&] {
                                                  update u = older;
                                                  u.state = update_state::pending;
                                                  return u;
                                              }(),
                                              1},
                                {},
                                {}}) == "conflict");
    REQUIRE(w.apply(record_report{{}, w.to_state(newer, update_state::canceled), {}, {}}) == "done");
    CHECK_FALSE(*w.reader->find_open_update("press-7"));
    CHECK(w.apply(create_update{w.an_update(d, f, update_state::scheduled), {}, {}}) == "done");
}

TEST_CASE_TEMPLATE("a superseding update that fails leaves the older one open", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const device d = w.saved_device("press-7");
    const update older = w.saved_update(d, w.saved_firmware("sensor", "2.0.0"));
    const update orphan = w.an_update(d, w.a_firmware("sensor", "unknown"));
    CHECK(w.apply(create_update{orphan, {w.to_state(older, update_state::superseded)}, {}}) == "invalid");
    CHECK(w.stored(older.id).row.state == update_state::pending);
    CHECK(w.stored(older.id).row.state_version == 0);
    CHECK(w.apply(create_update{w.an_update(w.a_device("nobody"), {}), {}, {}}) == "invalid");
}

TEST_CASE_TEMPLATE("a bad operation in the middle of a batch does not take its neighbours along", Engine,
                   FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const device a = w.a_device("a"), b = w.a_device("b");
    const firmware f = w.a_firmware("sensor", "1.0.0");
    const update u = w.an_update(a, f);
    const auto words = w.apply_all({
        record_report{a, {}, {}, {}},
        save_firmware{f},
        create_update{u, {}, {}},
        create_update{w.an_update(a, f), {}, {}}, // a second open one
        record_report{
            b, w.to_state(w.an_update(b, f), update_state::failed), {}, {}}, // no such update: b must not stay
        record_report{a, w.to_state(u, update_state::offered), w.a_result(a, "k"), {}},
        record_report{a, {}, w.a_result(a, "k"), {}},
        set_firmware_state{new_id<firmware_uuid>(w.now), firmware_state::revoked},
        patch_device{"a", "Name", {}, {}},
    });
    CHECK(words == std::vector<std::string>{"done", "done", "done", "conflict", "conflict", "done", "duplicate",
                                            "not_found", "done"});
    CHECK_FALSE(*w.reader->find_device("b"));
    CHECK((*w.reader->find_device("a"))->name == "Name");
    CHECK(w.stored(u.id).row.state == update_state::offered);
    CHECK(w.reader->list_updates({})->items.size() == 1);
}

TEST_CASE_TEMPLATE("reports of one device in one batch build on each other, whoever reports in between", Engine,
                   FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const firmware f = w.saved_firmware("sensor", "2.0.0");
    std::vector<device> devices;
    std::vector<update> updates;
    for (int i = 0; i < 5; ++i) {
        devices.push_back(w.saved_device("dev-" + std::to_string(i)));
        updates.push_back(w.saved_update(devices.back(), f));
    }
    std::vector<fota_operation> ops;
    std::vector<std::string> expected;
    for (int step = 0; step < 4; ++step) {
        for (std::size_t i = 0; i < devices.size(); ++i) {
            devices[i].name = "step " + std::to_string(step);
            update_change change = w.to_state(updates[i], update_state::downloading);
            change.wanted.percent = step;
            ++updates[i].state_version;
            const std::string key = std::to_string(i) + ":" + std::to_string(step);
            const update_event event = w.an_event(updates[i], update_state::downloading);
            ops.push_back(record_report{devices[i], change, w.a_result(devices[i], key), {event}});
            ops.push_back(record_report{devices[i], change, w.a_result(devices[i], key), {event}}); // again, at once
            expected.insert(expected.end(), {"done", "duplicate"});
        }
    }
    CHECK(w.apply_all(ops) == expected);
    for (const update& u : updates) {
        CHECK(w.stored(u.id).row.state_version == 4);
        CHECK(w.stored(u.id).row.percent == 3);
        CHECK(w.reader->events_of(u.id)->size() == 4);
    }
    CHECK((*w.reader->find_device("dev-3"))->name == "step 3");
    CHECK(w.reader->list_results({})->items.size() == 20);
}

TEST_CASE_TEMPLATE("operations on rows that do not exist are refused one by one, their neighbours stay", Engine,
                   FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const device a = w.a_device("a"), b = w.a_device("b"), nobody = w.a_device("nobody");
    const firmware f = w.a_firmware("sensor", "1.0.0");
    update_result astray = w.a_result(a, "astray");
    astray.update_id = new_id<update_uuid>(w.now);
    CHECK(w.apply_all({
              record_report{a, {}, {}, {}},
              record_report{{}, {}, w.a_result(nobody, "k1"), {}},
              save_firmware{f},
              create_update{w.an_update(a, w.a_firmware("sensor", "unknown")), {}, {}},
              record_report{{}, {}, astray, {}},
              record_report{b, {}, {}, {w.an_event(w.an_update(a, f), update_state::offered)}},
              create_update{w.an_update(a, f), {}, {}},
              record_report{{}, {}, w.a_result(a, "k2"), {}},
              record_report{{}, {}, w.a_result(a, "k2"), {}},
          }) == std::vector<std::string>{"done", "invalid", "done", "invalid", "invalid", "invalid", "done", "done",
                                         "duplicate"});
    CHECK_FALSE(*w.reader->find_device("b"));
    CHECK(w.reader->list_updates({})->items.size() == 1);
    CHECK(w.reader->list_results({})->items.size() == 1);
}

TEST_CASE_TEMPLATE("firmware: one row per type and version, back as saved, its state settable", Engine,
                   FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    firmware f = w.a_firmware("sensor", "1.0.0");
    f.uploaded_by = "anna";
    f.size = 6'000'000'000;
    f.sha1 = "s";
    f.md5 = "m";
    f.release_counter = 7;
    f.min_from_version = "0.9.0";
    f.hw_revs = R"(["B"])";
    f.release_notes = "notes";
    f.state = firmware_state::draft;
    REQUIRE(w.apply(save_firmware{f}) == "done");
    CHECK(w.apply(save_firmware{w.a_firmware("sensor", "1.0.0")}) == "conflict");
    CHECK(w.apply(save_firmware{f}) == "conflict");
    CHECK(w.apply(save_firmware{w.a_firmware("arm", "1.0.0")}) == "done");
    CHECK(w.apply(set_firmware_state{f.id, firmware_state::revoked}) == "done");
    CHECK(w.apply(set_firmware_state{new_id<firmware_uuid>(w.now), firmware_state::revoked}) == "not_found");

    const firmware got = **w.reader->find_firmware("sensor", "1.0.0");
    CHECK(got.id == f.id);
    CHECK(got.url == f.url);
    CHECK(got.checksum == f.checksum);
    CHECK(got.uploaded_by == f.uploaded_by);
    CHECK(got.uploaded_at == f.uploaded_at);
    CHECK(got.size == f.size);
    CHECK(got.filename == f.filename);
    CHECK(got.sha1 == f.sha1);
    CHECK(got.md5 == f.md5);
    CHECK(got.release_counter == f.release_counter);
    CHECK(got.min_from_version == f.min_from_version);
    CHECK(got.hw_revs == f.hw_revs);
    CHECK(got.release_notes == f.release_notes);
    CHECK(got.state == firmware_state::revoked);
    CHECK((*w.reader->find_firmware(f.id))->version == "1.0.0");
    CHECK_FALSE(*w.reader->find_firmware("sensor", "1.0.1"));
}

TEST_CASE_TEMPLATE("rows without a state are never found as work, never listed and collide with nothing", Engine,
                   FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const device d = w.saved_device("press-7");
    firmware theirs = w.a_firmware("sensor", "1.0.0");
    theirs.state.reset();
    REQUIRE(w.apply(save_firmware{theirs}) == "done");
    const firmware ours = w.saved_firmware("sensor", "1.0.0");
    CHECK((*w.reader->find_firmware("sensor", "1.0.0"))->id == ours.id);
    CHECK(w.reader->list_firmwares({})->items.size() == 1);
    CHECK(w.apply(set_firmware_state{theirs.id, firmware_state::approved}) == "not_found");

    update stateless = w.an_update(d, ours);
    stateless.state.reset();
    REQUIRE(w.apply(create_update{stateless, {}, {}}) == "done");
    const update u = w.saved_update(d, ours);
    update later = w.an_update(d, ours);
    later.state.reset();
    REQUIRE(w.apply(create_update{later, {}, {}}) == "done");
    CHECK((*w.reader->find_open_update("press-7"))->row.id == u.id);
    CHECK((*w.reader->find_latest_update("press-7"))->row.id == u.id);
    CHECK(w.reader->open_updates()->size() == 1);
    CHECK(w.reader->list_updates({})->items.size() == 1);
    CHECK(w.apply(record_report{{}, w.to_state(later, update_state::offered), {}, {}}) == "conflict");
    CHECK(w.apply(record_report{{},
                                update_change{[&] {
                                                  update none = u;
                                                  none.state.reset();
                                                  return none;
                                              }(),
                                              0},
                                {},
                                {}}) == "invalid");
}

TEST_CASE_TEMPLATE("an operator's patch changes what it names and marks it as the operator's", Engine,
                   FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    w.saved_device("press-7", "sensor");
    CHECK(w.apply(patch_device{"press-8", "x", {}, {}}) == "not_found");
    REQUIRE(w.apply(patch_device{"press-7", {}, {}, R"(["t"])"}) == "done");
    device d = **w.reader->find_device("press-7");
    CHECK(d.tags == R"(["t"])");
    CHECK(d.type == "sensor");
    CHECK_FALSE(d.name_by_operator);
    CHECK_FALSE(d.type_by_operator);
    REQUIRE(w.apply(patch_device{"press-7", "Press", "arm", {}}) == "done");
    d = **w.reader->find_device("press-7");
    CHECK(d.name == "Press");
    CHECK(d.type == "arm");
    CHECK(d.tags == R"(["t"])");
    CHECK(d.name_by_operator);
    CHECK(d.type_by_operator);
}

TEST_CASE_TEMPLATE("at start every device is set offline", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    for (const char* id : {"a", "b"}) {
        device d = w.a_device(id);
        d.online = true;
        REQUIRE(w.apply(record_report{d, {}, {}, {}}) == "done");
    }
    REQUIRE(w.apply(gateway_started{gateway{}, true}) == "done");
    CHECK_FALSE((*w.reader->find_device("a"))->online);
    CHECK_FALSE((*w.reader->find_device("b"))->online);
}

TEST_CASE_TEMPLATE("tokens: found by hash, names unique among those not revoked", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const auto token = [&](const std::string& name, const std::string& hash) {
        api_token t;
        t.id = new_id<token_uuid>(w.now);
        t.name = name;
        t.role = "admin";
        t.hash = hash;
        t.created_at = w.now;
        return t;
    };
    api_token first = token("ci", "h1");
    first.expires_at = w.now + std::chrono::hours(1);
    REQUIRE(w.apply(save_token{first}) == "done");
    CHECK(w.apply(save_token{token("ci", "h2")}) == "conflict");
    CHECK(w.apply(save_token{token("cd", "h1")}) == "conflict");
    CHECK(w.apply(touch_token{first.id, w.now}) == "done");
    CHECK(w.apply(revoke_token{first.id, w.now + std::chrono::seconds(1)}) == "done");
    CHECK(w.apply(revoke_token{first.id, w.now + std::chrono::seconds(2)}) == "duplicate");
    CHECK(w.apply(save_token{token("ci", "h3")}) == "done");
    const auto nobody = new_id<token_uuid>(w.now);
    CHECK(w.apply(touch_token{nobody, w.now}) == "not_found");
    CHECK(w.apply(revoke_token{nobody, w.now}) == "not_found");

    const api_token got = **w.reader->find_token("h1");
    CHECK(got.id == first.id);
    CHECK(got.name == "ci");
    CHECK(got.role == "admin");
    CHECK(got.created_at == w.now);
    CHECK(got.expires_at == first.expires_at);
    CHECK(got.last_used_at == w.now);
    CHECK(got.revoked_at == w.now + std::chrono::seconds(1)); // the first revocation stands
    CHECK_FALSE(*w.reader->find_token("h2"));
    CHECK(w.reader->list_tokens()->size() == 2);
}

TEST_CASE_TEMPLATE("idempotency keys are taken once and pruned by age", Engine, FB_STORAGE_ENGINES) {
    fota_world<Engine> w;
    const idempotency_record old{"t:1", "h", 201, R"({"a":1})", w.now - std::chrono::hours(25)};
    REQUIRE(w.apply(save_idempotency{old}) == "done");
    REQUIRE(w.apply(save_idempotency{{"t:2", "h", 200, "", w.now}}) == "done");
    CHECK(w.apply(save_idempotency{{"t:1", "other", 200, "", w.now}}) == "conflict");
    const idempotency_record got = **w.reader->find_idempotency("t:1");
    CHECK(got.request_hash == "h");
    CHECK(got.status == 201);
    CHECK(got.body == old.body);
    CHECK(got.created_at == old.created_at);
    REQUIRE(w.apply(prune_idempotency{w.now - std::chrono::hours(24)}) == "done");
    CHECK_FALSE(*w.reader->find_idempotency("t:1"));
    CHECK(*w.reader->find_idempotency("t:2"));
}
