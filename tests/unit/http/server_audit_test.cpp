#include <doctest/doctest.h>

#include "gateway.hpp"
#include "storage/audit.hpp"

using namespace fb;
using namespace fb::test;
using http::role;

namespace {

std::string line(const storage::audit_row& row) {
    return row.entry.actor + " " + row.entry.action + " " + row.entry.subject.value_or("-") + ": " +
           row.entry.detail.value_or("-");
}

/// What has come since the last call. The chain has to fit.
std::vector<std::string> fresh_lines(gateway& g, storage::audit_chain& chain, std::int64_t& seen) {
    std::vector<std::string> out;
    for (const auto& row : g.audit_log()) {
        if (row.seq <= seen) continue;
        seen = row.seq;
        const auto fault = chain.fault_in(row);
        CHECK_MESSAGE(!fault, fault.value_or(""));
        out.push_back(line(row));
    }
    return out;
}

} // namespace

TEST_CASE("what is done through the API is in the audit log, with who did it; what was refused is not") {
    for (const std::string store : {"memory", "sqlite"}) {
        CAPTURE(store);
        gateway g({}, store);
        storage::audit_chain chain;
        std::int64_t seen = 0;
        const auto fresh = [&] { return fresh_lines(g, chain, seen); };
        using lines = std::vector<std::string>;
        const std::string hash = "sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d";

        const auto firmware = member(g.upload("2.0.0", "image").body, "id");
        CHECK(fresh() == lines{"admin firmware.upload " + firmware + ": sensor 2.0.0, " + hash});
        CHECK(g.upload("2.0.0", "image").status == 409);
        g.add_device("dev-1");
        g.add_device("dev-2");
        g.add_device("dev-3", "2.0.0");
        g.add_device("dev-4", "1.0.0", "pump");
        CHECK(fresh().empty());

        const auto trigger = [&](const std::string& rest) {
            return g.post("/api/v1/updates", "{\"firmware_id\":\"" + firmware + "\"," + rest + "}", {},
                          role::operator_);
        };
        CHECK(trigger("\"device_ids\":[\"dev-4\",\"nobody\"]").status == 422);
        CHECK(fresh().empty());
        const auto ids = "\"device_ids\":[\"dev-4\",\"dev-1\",\"dev-2\"]";
        const auto update = member(trigger(ids).body, "updates.0.id");
        CHECK(fresh() ==
              lines{"operator update.trigger " + firmware + ": sensor 2.0.0 to 3 devices: dev-4, dev-1, dev-2"});
        CHECK(trigger(ids).status == 200); // the same updates
        CHECK(fresh().empty());
        CHECK(trigger("\"device_type\":\"sensor\"").status == 201);
        CHECK(fresh() ==
              lines{"operator update.trigger " + firmware + ": sensor 2.0.0 to 3 devices: all of type sensor"});

        for (int i = 0; i < 2; ++i)
            CHECK(g.post("/api/v1/updates/" + update + "/cancel", "", {}, role::operator_).status == 200);
        CHECK(fresh() == lines{"operator update.cancel " + update + ": device dev-1, 2.0.0"});
        g.report("dev-1", "update/result",
                 "{\"status\":\"success\",\"version\":\"2.0.0\",\"update_id\":\"" + update + "\"}");
        CHECK(fresh() == lines{"fotabroker update.cancel_lost " + update +
                               ": device dev-1 had installed it before the cancel arrived"});

        const http_request patch{
            "PATCH", "/api/v1/devices/dev-1", {{"Content-Type", "application/json"}}, R"({"name":"A","tags":["x"]})"};
        for (int i = 0; i < 2; ++i) CHECK(g.ask(patch, role::operator_).status == 200);
        CHECK(fresh() == lines{"operator device.patch dev-1: name: A, tags: [\"x\"]"});

        CHECK(g.ask({"DELETE", "/api/v1/firmwares/" + firmware, {}, {}}).status == 409);
        for (int i = 0; i < 2; ++i) CHECK(g.post("/api/v1/firmwares/" + firmware + "/revoke", "").status == 200);
        CHECK(fresh() == lines{"admin firmware.revoke " + firmware + ": sensor 2.0.0, " + hash});
        for (const std::string id : {"dev-1", "dev-2", "dev-3"})
            CHECK(g.ask({"DELETE", "/api/v1/devices/" + id, {}, {}}).status == 204);
        CHECK(g.ask({"DELETE", "/api/v1/devices/dev-1", {}, {}}).status == 404);
        const auto gone = fresh();
        REQUIRE(gone.size() == 3);
        CHECK(gone[0] == "admin device.delete dev-1: and its history");
        CHECK(gone[1].starts_with("admin device.delete dev-2: and its history, update "));
        CHECK(g.ask({"DELETE", "/api/v1/firmwares/" + firmware, {}, {}}).status == 204);
        CHECK(fresh() == lines{"admin firmware.delete " + firmware + ": sensor 2.0.0, " + hash});
    }
}

TEST_CASE("a trigger of many devices is one entry of bounded length") {
    gateway g;
    const auto firmware = member(g.upload("2.0.0", "image").body, "id");
    std::string ids;
    for (int i = 0; i < 200; ++i) {
        const auto id = "device-" + std::to_string(100 + i);
        if (i % 50 == 7) g.add_device(id);
        ids += (ids.empty() ? "\"" : ",\"") + id + "\"";
    }
    CHECK(g.post("/api/v1/updates", "{\"firmware_id\":\"" + firmware + "\",\"device_ids\":[" + ids + "]}").status ==
          201);
    const auto log = g.audit_log();
    REQUIRE(log.size() == 2);
    const auto detail = log.back().entry.detail.value();
    CHECK(detail.starts_with("sensor 2.0.0 to 200 devices: device-100, device-101"));
    CHECK(detail.ends_with(", ..."));
    CHECK(detail.size() < 1100);
}
