#include <doctest/doctest.h>

#include <set>

#include "gateway.hpp"
#include "http/handlers.hpp"

using namespace fb;
using namespace fb::test;
using http::role;

namespace {

std::string trigger_body(const std::string& firmware, const std::string& devices, const std::string& more = "") {
    return "{\"firmware_id\":\"" + firmware + "\",\"device_ids\":" + devices + more + "}";
}

} // namespace

TEST_CASE("every route of the API wants a token, and the role its row names") {
    gateway g;
    for (const auto& each : http::api().routes()) {
        if (each.who != http::access::token) continue;
        std::string target(each.pattern);
        for (auto at = target.find('{'); at != std::string::npos; at = target.find('{'))
            target.replace(at, target.find('}') - at + 1, "01900000-0000-7000-8000-000000000000");
        CAPTURE(target);
        CAPTURE(std::string(each.method));
        http_request r{std::string(each.method), target, {}, {}};
        const auto anonymous = g.ask(r, std::nullopt);
        CHECK(anonymous.status == 401);
        CHECK(anonymous.problem() == "unauthorized");
        CHECK(anonymous.header("www-authenticate").starts_with("Bearer"));
        if (each.least == role::viewer) continue;
        CHECK(g.ask(r, role::viewer).problem() == "forbidden");
        const auto allowed = g.ask(r, each.least).status;
        CHECK(allowed != 401);
        CHECK(allowed != 403);
    }
}

TEST_CASE("wrong, expired and revoked tokens are refused") {
    gateway g;
    const auto status = [&](const std::string& authorization) {
        return g.ask({"GET", "/api/v1/devices", {{"Authorization", authorization}}, {}}, std::nullopt).status;
    };
    const auto expired = http::make_token("expired", role::admin, now(), now() - std::chrono::seconds(1));
    const auto valid = http::make_token("valid", role::admin, now(), now() + std::chrono::hours(1));
    const auto revoked = http::make_token("revoked", role::admin, now(), std::nullopt);
    for (const auto& each : {expired, valid, revoked}) g.apply(storage::save_token{each.row});
    g.apply(storage::revoke_token{revoked.row.id, now()});
    CHECK(status("Bearer " + valid.secret) == 200);
    CHECK(status("bearer  " + valid.secret) == 200);
    CHECK(status("Bearer " + expired.secret) == 401);
    CHECK(status("Bearer " + revoked.secret) == 401);
    CHECK(status("Bearer " + valid.secret + "x") == 401);
    CHECK(status("Bearer ") == 401);
    CHECK(status("Basic YTpi") == 401);
    CHECK(status(valid.secret) == 401);
}

TEST_CASE("an address that guesses tokens is slowed down, one that has a good token is not") {
    gateway g;
    CHECK(g.get("/api/v1/devices").status == 200);
    int refused = 0, limited = 0;
    for (int i = 0; i < 15; ++i) {
        const auto answer = g.ask(
            {"GET", "/api/v1/devices", {{"Authorization", "Bearer guess" + std::to_string(i)}}, {}}, std::nullopt);
        refused += answer.status == 401;
        limited += answer.status == 429;
        if (answer.status == 429) CHECK_FALSE(answer.header("retry-after").empty());
    }
    CHECK(refused >= 10);
    CHECK(limited >= 1);
    CHECK(g.get("/api/v1/devices").status == 200);
}

TEST_CASE("what does not exist is a problem too") {
    gateway g;
    CHECK(g.get("/nowhere").problem() == "not_found");
    CHECK(g.get("/api/v1/devices/nobody").problem() == "unknown_device");
    CHECK(g.get("/api/v1/firmwares/nothing").status == 404);
    CHECK(g.get("/api/v1/firmwares/01900000-0000-7000-8000-000000000000").status == 404);
    CHECK(g.get("/api/v1/updates/nothing").status == 404);
    CHECK(g.get("/api/v1/updates/01900000-0000-7000-8000-000000000000").status == 404);
    CHECK(g.post("/api/v1/updates/01900000-0000-7000-8000-000000000000/cancel", "").status == 404);
    CHECK(g.post("/api/v1/firmwares/01900000-0000-7000-8000-000000000000/revoke", "").status == 404);
    CHECK(g.get("/api/v1/devices/nobody/explain").status == 404);
    const auto wrong = g.ask({"PUT", "/api/v1/firmwares/01900000-0000-7000-8000-000000000000", {}, {}});
    CHECK(wrong.problem() == "method_not_allowed");
    CHECK(wrong.header("allow") == "GET, HEAD, DELETE");
    CHECK(g.ask({"DELETE", "/api/v1/firmwares/01900000-0000-7000-8000-000000000000", {}, {}}).status == 404);
    CHECK(g.ask({"DELETE", "/api/v1/devices/nobody", {}, {}}).status == 404);
}

TEST_CASE("devices are listed by id, page by page, with what memory knows of them") {
    gateway g({}, "sqlite");
    for (const auto* id : {"d", "a", "c", "b", "e"}) g.add_device(id, "1.0.0", *id == 'e' ? "other" : "sensor");
    std::string seen, cursor;
    do {
        const auto page =
            g.get("/api/v1/devices?limit=2&device_type=sensor" + (cursor.empty() ? "" : "&cursor=" + cursor));
        REQUIRE(page.status == 200);
        seen += member(page.body, "items.0.device_id") + member(page.body, "items.1.device_id");
        CHECK(member(page.body, "items.0.online") == "true");
        cursor = member(page.body, "next");
    } while (cursor != "null");
    CHECK(seen == "abcd");
    const auto one = g.get("/api/v1/devices?device_id=e");
    CHECK(member(one.body, "items.0.type") == "other");
    CHECK(member(one.body, "items.0.ip") == "10.0.0.9");
    CHECK(member(one.body, "items.0.firmware_version") == "1.0.0");
    CHECK(member(one.body, "items.0.tags") == "[]");
    CHECK(member(one.body, "items.0.last_seen").ends_with("Z"));
    CHECK(member(one.body, "items.0.open_update") == "null");
    CHECK(member(one.body, "next") == "null");
}

TEST_CASE("bad list parameters are refused with words") {
    gateway g;
    for (const auto* target :
         {"/api/v1/devices?limit=0", "/api/v1/devices?limit=501", "/api/v1/devices?limit=x",
          "/api/v1/devices?limit=", "/api/v1/devices?limit=1&limit=2", "/api/v1/devices?cursor=nonsense!",
          "/api/v1/devices?cursor=", "/api/v1/devices?state=online", "/api/v1/updates?state=sleeping",
          "/api/v1/firmwares?state=pending", "/api/v1/update-results?status=maybe", "/api/v1/updates?firmware_id=x",
          "/api/v1/updates?colour=red", "/api/v1/devices/x?limit=5", "/api/v1/updates?device_id=%zz"}) {
        CAPTURE(target);
        const auto answer = g.get(target);
        CHECK(answer.status == 400);
        answer.problem();
    }
    for (const auto* target : {"/api/v1/devices?limit=500", "/api/v1/updates?state=pending",
                               "/api/v1/firmwares?state=approved", "/api/v1/update-results?status=success"}) {
        CAPTURE(target);
        CHECK(g.get(target).body == "{\"items\":[],\"next\":null}");
    }
}

TEST_CASE("an operator names and tags a device, and the device's own reports leave that alone") {
    gateway g;
    g.add_device("dev-1");
    const auto patch = [&](const std::string& json) {
        return g.ask({"PATCH", "/api/v1/devices/dev-1", {{"Content-Type", "application/json"}}, json}, role::operator_);
    };
    const auto changed = patch("{\"name\":\"Press 7\",\"tags\":[\"hall-2\",\"\\u00e4\"]}");
    REQUIRE(changed.status == 200);
    CHECK(member(changed.body, "name") == "Press 7");
    CHECK(member(changed.body, "tags.0") == "hall-2");
    g.report("dev-1", "status", "{\"version\":\"1.0.0\",\"name\":\"factory name\"}");
    CHECK(member(g.get("/api/v1/devices/dev-1").body, "name") == "Press 7");
    for (const auto* bad : {"{}", "{\"name\":7}", "{\"colour\":\"red\"}", "{\"tags\":\"a\"}", "{\"tags\":[1]}", "[]",
                            "{", "{\"type\":\"\"}"}) {
        CAPTURE(bad);
        CHECK(patch(bad).status == 400);
    }
}

TEST_CASE("a trigger makes one update per device, refuses with reasons, and is idempotent") {
    gateway g;
    const auto firmware = member(g.upload("2.0.0", "image").body, "id");
    g.add_device("dev-1");
    g.add_device("dev-2", "3.0.0");
    g.add_device("dev-3", "1.0.0", "other");
    const auto first = g.post("/api/v1/updates", trigger_body(firmware, "[\"dev-1\",\"dev-2\",\"dev-3\",\"nobody\"]"));
    CHECK(first.status == 201);
    CHECK(member(first.body, "updates.0.device_id") == "dev-1");
    CHECK(member(first.body, "updates.0.version") == "2.0.0");
    CHECK(member(first.body, "updates.0.state") == "pending");
    CHECK(member(first.body, "updates.0.requested_by") == "admin");
    std::set<std::string> reasons;
    for (const auto* i : {"0", "1", "2"}) reasons.insert(member(first.body, std::string("refused.") + i + ".reason"));
    CHECK(reasons == std::set<std::string>{"downgrade", "wrong_type", "unknown_device"});

    const auto again = g.post("/api/v1/updates", trigger_body(firmware, "[\"dev-1\"]"));
    CHECK(again.status == 200);
    CHECK(member(again.body, "updates.0.id") == member(first.body, "updates.0.id"));

    const auto none = g.post("/api/v1/updates", trigger_body(firmware, "[\"nobody\"]"));
    CHECK(none.status == 422);
    CHECK(none.problem() == "all_refused");
    CHECK(member(none.body, "refused.0.reason") == "unknown_device");
    CHECK(g.post("/api/v1/updates", trigger_body("01900000-0000-7000-8000-000000000000", "[\"dev-1\"]")).status == 404);
    CHECK(g.post("/api/v1/updates", "{\"firmware_id\":\"" + firmware + "\",\"device_type\":\"sensor\"}").status == 200);
    CHECK(g.post("/api/v1/updates", "{\"firmware_id\":\"" + firmware + "\",\"device_type\":\"none\"}").status == 422);
}

TEST_CASE("a downgrade has to be asked for by somebody who may") {
    gateway g;
    const auto firmware = member(g.upload("2.0.0", "image").body, "id");
    g.add_device("dev-2", "3.0.0");
    const auto body = trigger_body(firmware, "[\"dev-2\"]", ",\"allow_downgrade\":true");
    CHECK(g.post("/api/v1/updates", body, {}, role::operator_).status == 403);
    CHECK(g.post("/api/v1/updates", body, {}, role::approver).status == 201);
}

TEST_CASE("a malformed trigger is refused with words") {
    gateway g;
    const auto firmware = member(g.upload("2.0.0", "image").body, "id");
    for (const auto& bad :
         {std::string("{}"), std::string("{\"firmware_id\":\"x\",\"device_ids\":[\"a\"]}"),
          trigger_body(firmware, "[]"), trigger_body(firmware, "[1]"), trigger_body(firmware, "\"a\""),
          trigger_body(firmware, "[\"a\"]", ",\"device_type\":\"sensor\""),
          trigger_body(firmware, "[\"a\"]", ",\"x\":1"), trigger_body(firmware, "[\"a\"]", ",\"allow_downgrade\":1"),
          std::string("not json"), std::string("[]")}) {
        CAPTURE(bad);
        CHECK(g.post("/api/v1/updates", bad).status == 400);
    }
    http_request form{"POST", "/api/v1/updates", {{"Content-Type", "application/x-www-form-urlencoded"}}, "a=b"};
    CHECK(g.ask(form).status == 415);
    CHECK(g.ask({"POST", "/api/v1/updates", {}, {}}).status == 411);
    CHECK(g.ask({"POST", "/api/v1/updates", {{"Content-Type", "application/json"}}, std::string(2'000'000, ' ')})
              .status == 413);
}

TEST_CASE("an Idempotency-Key makes a POST happen once") {
    gateway g;
    const auto firmware = member(g.upload("2.0.0", "image").body, "id");
    g.add_device("dev-1");
    g.add_device("dev-2");
    const auto body = trigger_body(firmware, "[\"dev-1\"]");
    const auto first = g.post("/api/v1/updates", body, {{"Idempotency-Key", "k"}});
    REQUIRE(first.status == 201);
    const auto again = g.post("/api/v1/updates", body, {{"Idempotency-Key", "k"}});
    CHECK(again.status == 201);
    CHECK(again.body == first.body);
    CHECK(g.post("/api/v1/updates", trigger_body(firmware, "[\"dev-2\"]"), {{"Idempotency-Key", "k"}}).status == 422);
    CHECK(g.post("/api/v1/updates", body, {{"Idempotency-Key", std::string(129, 'k')}}).status == 400);
    const auto refused = g.post("/api/v1/updates", trigger_body(firmware, "[\"nobody\"]"), {{"Idempotency-Key", "r"}});
    const auto refused_again =
        g.post("/api/v1/updates", trigger_body(firmware, "[\"nobody\"]"), {{"Idempotency-Key", "r"}});
    CHECK(refused_again.problem() == "all_refused");
    CHECK(refused_again.body == refused.body);
}

TEST_CASE("an update is watched, canceled and keeps its history") {
    gateway g({}, "sqlite");
    const auto firmware = member(g.upload("2.0.0", "image").body, "id");
    g.add_device("dev-1");
    const auto id = member(g.post("/api/v1/updates", trigger_body(firmware, "[\"dev-1\"]")).body, "updates.0.id");
    const auto pending = g.get("/api/v1/updates/" + id);
    CHECK(member(pending.body, "state") == "pending");
    CHECK(member(pending.body, "firmware_id") == firmware);
    CHECK(member(pending.body, "sent_at") == "null");
    CHECK(member(pending.body, "events.0.to_state") == "pending");
    CHECK(member(g.get("/api/v1/devices/dev-1").body, "open_update.id") == id);
    CHECK(member(g.get("/api/v1/devices/dev-1/explain").body, "update.id") == id);
    CHECK(member(g.get("/api/v1/devices/dev-1/explain").body, "reasons.0.code") != "");
    CHECK(member(g.get("/api/v1/updates?device_id=dev-1&state=pending").body, "items.0.id") == id);
    const auto canceled = g.post("/api/v1/updates/" + id + "/cancel", "", {}, role::operator_);
    CHECK(canceled.status == 200);
    CHECK(member(canceled.body, "state") == "canceled");
    CHECK(member(g.get("/api/v1/updates/" + id).body, "state") == "canceled");
    CHECK(member(g.get("/api/v1/updates?state=pending").body, "items") == "[]");
}

TEST_CASE("progress is exact in every answer, and results are listed") {
    gateway g({}, "sqlite");
    const auto firmware = member(g.upload("2.0.0", "image").body, "id");
    g.add_device("dev-1");
    const auto id = member(g.post("/api/v1/updates", trigger_body(firmware, "[\"dev-1\"]")).body, "updates.0.id");
    g.command_for("dev-1");
    g.report("dev-1", "update/progress", "{\"update_id\":\"" + id + "\",\"state\":\"downloading\",\"percent\":12}");
    g.report("dev-1", "update/progress", "{\"update_id\":\"" + id + "\",\"state\":\"downloading\",\"percent\":37}");
    CHECK(member(g.get("/api/v1/updates/" + id).body, "percent") == "37");
    CHECK(member(g.get("/api/v1/updates").body, "items.0.percent") == "37");
    CHECK(member(g.get("/api/v1/devices").body, "items.0.open_update.percent") == "37");
    g.report("dev-1", "update/result", "{\"status\":\"success\",\"version\":\"2.0.0\",\"update_id\":\"" + id + "\"}");
    CHECK(member(g.get("/api/v1/updates/" + id).body, "state") == "succeeded");
    const auto results = g.get("/api/v1/update-results?device_id=dev-1&status=success");
    CHECK(member(results.body, "items.0.update_id") == id);
    CHECK(member(results.body, "items.0.firmware_version") == "2.0.0");
    CHECK(member(results.body, "items.0.late") == "false");
    CHECK(member(g.get("/api/v1/devices/dev-1").body, "firmware_version") == "2.0.0");
}

TEST_CASE("reports count the fleet for a viewer") {
    gateway g({}, "sqlite");
    const auto firmware = member(g.upload("2.0.0", "image").body, "id");
    g.add_device("dev-1");
    g.add_device("dev-2");
    const auto ids = trigger_body(firmware, "[\"dev-1\",\"dev-2\"]");
    const auto id = member(g.post("/api/v1/updates", ids).body, "updates.0.id");
    g.command_for("dev-1");
    g.report("dev-1", "update/result", "{\"status\":\"success\",\"version\":\"2.0.0\",\"update_id\":\"" + id + "\"}");
    const auto report = [&](const std::string& name) {
        const auto answer = g.get("/api/v1/reports/" + name);
        CHECK(answer.status == 200);
        return answer.body;
    };
    CHECK(report("fleet") ==
          "{\"items\":[{\"device_type\":\"sensor\",\"firmware_version\":\"1.0.0\",\"devices\":1,\"online\":1},"
          "{\"device_type\":\"sensor\",\"firmware_version\":\"2.0.0\",\"devices\":1,\"online\":1}],\"next\":null}");
    CHECK(member(report("fleet?limit=1"), "next") != "null");
    const auto firmwares = report("firmwares?firmware_id=" + firmware);
    CHECK(member(firmwares, "items.0.firmware_id") == firmware);
    CHECK(member(firmwares, "items.0.updates") == "2");
    CHECK(member(firmwares, "items.0.in_progress") == "1");
    CHECK(member(firmwares, "items.0.succeeded") == "1");
    CHECK(member(firmwares, "items.0.success_rate") == "1.0");
    CHECK(member(firmwares, "items.0.failures") == "[]");
    CHECK(member(report("durations?device_type=sensor"), "items.0.succeeded") == "1");
    CHECK(report("stuck") == "{\"items\":[],\"next\":null}");
    CHECK(report("durations?device_type=none") == "{\"items\":[],\"next\":null}");
    CHECK(g.get("/api/v1/reports/fleet", std::nullopt).status == 401);
    CHECK(g.get("/api/v1/reports/stuck?reason=silent").status == 400);
    CHECK(g.get("/api/v1/reports/weather").status == 404);
}

TEST_CASE("health, readiness and metrics tell how it is") {
    gateway g([](http::settings& s) { s.public_url = "https://gw:8443"; });
    CHECK(g.get("/healthz", std::nullopt).status == 200);
    CHECK(member(g.get("/healthz", std::nullopt).body, "status") == "ok");
    CHECK(member(g.get("/healthz", std::nullopt).body, "version") == "9.9.9");
    CHECK(g.get("/readyz", std::nullopt).status == 200);
    CHECK(g.get("/metrics", std::nullopt).status == 401);
    const auto text = g.get("/metrics", role::viewer);
    CHECK(text.status == 200);
    CHECK(text.body.find("fotabroker_http_answers_total{status=\"4xx\"} 1\n") != std::string::npos);
    CHECK(text.body.find("fotabroker_fota_offers_total 0\n") != std::string::npos);
    CHECK(member(g.upload("1.0.0", "x").body, "url").starts_with("https://gw:8443/fw/"));
    gateway open([](http::settings& s) { s.metrics_anonymous = true; });
    CHECK(open.get("/metrics", std::nullopt).status == 200);
}
