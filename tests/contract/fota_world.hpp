// A FOTA store of one engine with what most cases need: rows to begin with, one-line operations, a clock that ticks.
#pragma once

#include <string>
#include <vector>

#include "engines.hpp"

namespace fb::test {

using namespace storage;

/// How an outcome reads in a test: "done", "duplicate", or the error's kind.
inline std::string word(const fota_outcome& outcome) {
    if (!outcome) return to_string(outcome.err().kind);
    return *outcome == applied::done ? "done" : "duplicate";
}

template <class Engine>
struct fota_world {
    Engine engine;
    std::unique_ptr<fota_store> store = engine.open_fota();
    std::unique_ptr<fota_reader> reader = open_reader();
    timestamp now = *parse_timestamp("2026-11-22T10:15:30.123Z");

    ~fota_world() { engine.check_consistency(); }

    std::unique_ptr<fota_reader> open_reader() {
        auto opened = store->open_reader();
        REQUIRE(opened);
        return std::move(*opened);
    }

    std::string apply(fota_operation op) { return word(store->apply({&op, 1}).at(0)); }
    std::vector<std::string> apply_all(const std::vector<fota_operation>& ops) {
        std::vector<std::string> words;
        for (const auto& outcome : store->apply(ops)) words.push_back(word(outcome));
        return words;
    }

    device a_device(const std::string& device_id, const std::string& type = "sensor") {
        device d;
        d.id = new_id<device_uuid>(now);
        d.device_id = device_id;
        d.type = type;
        d.first_seen = now;
        return d;
    }
    firmware a_firmware(const std::string& type, const std::string& version) {
        firmware f;
        f.id = new_id<firmware_uuid>(now);
        f.device_type = type;
        f.version = version;
        f.url = "/fw/" + to_string(f.id) + "/image.bin";
        f.checksum = "sha256:" + std::string(64, 'a');
        f.uploaded_at = now;
        f.size = 1000;
        f.filename = "image.bin";
        f.state = firmware_state::approved;
        return f;
    }
    update an_update(const device& d, const firmware& f, update_state state = update_state::pending) {
        update u;
        u.id = new_id<update_uuid>(now);
        u.device_id = d.id;
        u.firmware_id = f.id;
        u.state = state;
        u.created_at = u.state_at = now;
        return u;
    }
    update_result a_result(const device& d, const std::string& event_key) {
        update_result r;
        r.id = new_id<result_uuid>(now);
        r.device_id = d.id;
        r.received_at = now;
        r.event_key = event_key;
        return r;
    }
    update_event an_event(const update& u, update_state to) {
        update_event e;
        e.id = new_id<event_uuid>(now);
        e.update_id = u.id;
        e.at = now;
        e.from_state = u.state;
        e.to_state = to;
        e.cause = "test";
        return e;
    }
    update_change to_state(const update& u, update_state state) {
        update_change change{u, u.state_version};
        change.wanted.state = state;
        return change;
    }

    device saved_device(const std::string& device_id, const std::string& type = "sensor") {
        device d = a_device(device_id, type);
        REQUIRE(apply(record_report{d, {}, {}, {}}) == "done");
        return d;
    }
    firmware saved_firmware(const std::string& type, const std::string& version) {
        firmware f = a_firmware(type, version);
        REQUIRE(apply(save_firmware{f}) == "done");
        return f;
    }
    update saved_update(const device& d, const firmware& f, update_state state = update_state::pending) {
        update u = an_update(d, f, state);
        REQUIRE(apply(create_update{u, {}, {}}) == "done");
        return u;
    }
    update_view stored(const update_uuid& id) {
        auto found = reader->find_update(id);
        REQUIRE(found);
        REQUIRE(*found);
        return **found;
    }
};

} // namespace fb::test
