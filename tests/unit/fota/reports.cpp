// What a report does and when it is acknowledged: the main path, doubled, late, reordered, malformed and unsolicited
// reports, and a store that is slow or away.
#include "world.hpp"

using namespace fb::test;

TEST_CASE("an update goes from trigger to success and every step is stored") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    const auto command = w.command();
    CHECK(member(command, "version") == "1.1.0");
    CHECK(member(command, "update_id") == id);
    CHECK(member(command, "action") == "install");
    CHECK(member(command, "checksum").starts_with("sha256:"));
    CHECK(member(command, "url").starts_with("https://gateway:8443/fw/"));
    CHECK(command.find("\"attempt\":1") != std::string::npos);
    CHECK(command.find("\"size\":5") != std::string::npos);
    for (const char* state : {"accepted", "downloading", "downloaded", "installing", "rebooting"})
        CHECK(w.acked(w.progress("dev1", with(id, R"("state":")" + std::string(state) + "\"")), verdict::accepted));
    CHECK(w.state(id) == update_state::verifying);
    CHECK(w.acked(w.result("dev1", with(id, R"("status":"success","version":"1.1.0")")), verdict::accepted));
    CHECK(w.state(id) == update_state::succeeded);
    CHECK(w.device("dev1").firmware_version == "1.1.0");
    CHECK(w.history(id) == std::vector<std::string>{"pending", "offered", "accepted", "downloading", "downloaded",
                                                    "installing", "verifying", "succeeded"});
    const auto results = w.results("dev1");
    REQUIRE(results.size() == 1);
    CHECK(results[0].row.event_key == id + ":1:success");
    CHECK(w.update(id).row.sent_at.has_value());
    CHECK(w.update(id).row.percent == 100);
}

TEST_CASE("a device that sends three keys and no progress is updated too") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.result("dev1", R"({"status":"success","version":"1.1.0","timestamp":"1970-01-01T00:00:09Z"})");
    CHECK(w.state(id) == update_state::succeeded);
    CHECK(w.results("dev1").at(0).row.device_time == "1970-01-01T00:00:09Z");
}

TEST_CASE("the same result twice is one row, acknowledged twice") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    std::string result;
    SUBCASE("with an update_id") { result = with(id, R"("status":"success","version":"1.1.0","attempt":1)"); }
    SUBCASE("of a device that names no update") { result = R"({"status":"success","version":"1.1.0"})"; }
    w.result("dev1", result);
    const auto version = w.update(id).row.state_version;
    CHECK(w.acked(w.result("dev1", result), verdict::accepted));
    CHECK(w.results("dev1").size() == 1);
    CHECK(w.update(id).row.state_version == version);
    CHECK(w.fota->statistics().reports_duplicate == 1);
}

TEST_CASE("a failure sent again after the retry began is not counted against the next attempt") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.result("dev1", R"({"status":"failed","version":"1.1.0"})");
    CHECK(w.acked(w.result("dev1", R"({"status":"failed","version":"1.1.0"})"), verdict::accepted));
    CHECK(w.update(id).row.attempt == 2);
    CHECK(w.results("dev1").size() == 1);
}

TEST_CASE("a late report never lowers the state") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.progress("dev1", with(id, R"("state":"installing")"));
    const auto version = w.update(id).row.state_version;
    for (const char* state : {"downloaded", "downloading", "accepted", "deferred", "rejected", "installing"})
        CHECK(w.acked(w.progress("dev1", with(id, R"("state":")" + std::string(state) + "\"")), verdict::accepted));
    CHECK(w.state(id) == update_state::installing);
    CHECK(w.update(id).row.state_version == version);
}

TEST_CASE("nothing is acknowledged or published before its commit") {
    world w;
    w.come("dev1");
    w.store.state = disk::held;
    const auto firmware = [&] {
        w.store.state = disk::well;
        auto id = w.add_firmware("1.1.0");
        w.store.state = disk::held;
        return id;
    }();
    w.trigger(firmware, {"dev1"});
    CHECK(w.commands().empty());
    w.store.work_one(); // the update's row
    CHECK(w.commands().empty());
    w.store.work_one(); // offered
    CHECK(w.commands().size() == 1);
    const auto token = w.result("dev1", R"({"status":"success","version":"1.1.0"})");
    CHECK(w.silent(token));
    w.store.state = disk::well;
    w.work();
    CHECK(w.acked(token, verdict::accepted));
}

TEST_CASE("reports of one device are acknowledged in order, also those that write nothing") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.store.state = disk::held;
    const auto first = w.progress("dev1", with(id, R"("state":"accepted")"));
    const auto second = w.progress("dev1", with(id, R"("state":"accepted")"));
    CHECK(w.silent(first));
    CHECK(w.silent(second));
    w.store.work_one();
    CHECK(w.acked(first, verdict::accepted));
    CHECK(w.acked(second, verdict::accepted));
}

TEST_CASE("a failed commit leaves no trace: the report is unavailable and can be sent again") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.store.state = disk::failing;
    CHECK(w.acked(w.result("dev1", with(id, R"("status":"success","version":"1.1.0")")), verdict::unavailable));
    CHECK(w.state(id) == update_state::offered);
    CHECK(w.fota->statistics().store_failures == 1);
    w.store.state = disk::well;
    CHECK(w.acked(w.result("dev1", with(id, R"("status":"success","version":"1.1.0")")), verdict::accepted));
    CHECK(w.state(id) == update_state::succeeded);
}

TEST_CASE("an offer that could not be stored is made when the store is back") {
    world w;
    w.come("dev1");
    const auto firmware = w.add_firmware("1.1.0");
    w.disconnect("dev1");
    w.trigger(firmware, {"dev1"});
    w.store.state = disk::failing;
    w.connect("dev1");
    w.ready("dev1");
    CHECK(w.commands().empty());
    w.store.state = disk::well;
    w.wait(1min);
    CHECK(member(w.command(), "version") == "1.1.0");
}

TEST_CASE("too many reports of one device waiting for the store are turned away") {
    world w;
    w.come("dev1");
    w.store.state = disk::held;
    std::uint64_t last = 0;
    for (int i = 0; i < 300; ++i) last = w.status("dev1", R"({"version":"1.0.)" + std::to_string(i + 1) + "\"}");
    CHECK(w.acked(last, verdict::unavailable));
    w.store.state = disk::well;
    w.work();
    CHECK(w.device("dev1").firmware_version == "1.0.257");
}

TEST_CASE("a first status registers a device that a certificate vouches for") {
    world w;
    w.connect("dev1");
    CHECK(w.acked(w.status("dev1", R"({"firmware_version":"1.0.0","type":"sensor","name":"Roof","hw_rev":"B",
        "ip":"10.0.0.4","battery":81.5,"boot_id":"b1","caps":{"chunk":4096,"http":true,"confirm":true,"sig":["ed25519"]}})"),
                  verdict::accepted));
    const auto d = w.device("dev1");
    CHECK(d.type == "sensor");
    CHECK(d.name == "Roof");
    CHECK(d.hw_rev == "B");
    CHECK(d.firmware_version == "1.0.0");
    CHECK(d.ip == "192.0.2.7");
    CHECK(d.cert_fingerprint == "fingerprint-of-dev1");
    CHECK(d.online);
    for (const char* part : {R"("ip":"10.0.0.4")", R"("battery":81.5)", R"("boot_id":"b1")", R"("confirm":true)"})
        CHECK(d.attributes.find(part) != std::string::npos);
}

TEST_CASE("a first result registers the device too") {
    world w;
    w.connect("dev1");
    CHECK(w.acked(w.result("dev1", R"({"status":"success","version":"1.0.0"})"), verdict::accepted));
    CHECK(w.device("dev1").firmware_version == "1.0.0");
}

TEST_CASE("without auto-registration a stranger is refused") {
    auto limits = test_settings();
    limits.auto_register = false;
    world w(limits);
    w.connect("dev1");
    CHECK(w.acked(w.status("dev1", R"({"version":"1.0.0"})"), verdict::refused));
    CHECK(w.acked(w.result("dev1", R"({"status":"success","version":"1.0.0"})"), verdict::refused));
    CHECK(w.acked(w.progress("dev1", R"({"state":"accepted"})"), verdict::refused));
    CHECK(w.fota->statistics().reports_refused == 3);
}

TEST_CASE("a report on another device's topic is refused") {
    world w;
    w.come("dev1");
    w.come("dev2");
    CHECK(w.acked(w.publish("dev1", "device/dev2/status", R"({"version":"6.6.6"})"), verdict::refused));
    CHECK(w.acked(w.publish("dev1", "device/dev1/update", "{}"), verdict::refused));
    CHECK(w.device("dev2").firmware_version == "1.0.0");
}

TEST_CASE("a result that matches nothing is stored as unsolicited and moves the version") {
    world w;
    w.come("dev1");
    w.result("dev1", R"({"status":"success","version":"3.0.0"})");
    CHECK_FALSE(w.results("dev1").at(0).row.update_id.has_value());
    CHECK(w.device("dev1").firmware_version == "3.0.0");
    w.result("dev1", R"({"status":"failed","version":"4.0.0"})");
    CHECK(w.results("dev1").size() == 2);
    CHECK(w.device("dev1").firmware_version == "3.0.0");
}

TEST_CASE("a result with another device's update_id is stored as unsolicited and never booked") {
    world w;
    w.come("dev1");
    w.come("dev2");
    const auto id = w.update_to("1.1.0", "dev2");
    CHECK(w.acked(w.result("dev1", with(id, R"("status":"success","version":"1.1.0")")), verdict::accepted));
    CHECK(w.state(id) == update_state::offered);
    CHECK_FALSE(w.results("dev1").at(0).row.update_id.has_value());
    w.progress("dev1", with(id, R"("state":"installing")"));
    CHECK(w.state(id) == update_state::offered);
}

TEST_CASE("a result of an attempt yet to come, or of an unknown update, is unsolicited") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    for (const auto& named : {with(id, R"("attempt":7,"status":"failed","version":"1.1.0")"),
                              with("no uuid", R"("status":"failed","version":"1.1.0")"),
                              with("0190b0a0-0000-7000-8000-000000000000", R"("status":"failed","version":"1.1.0")")})
        CHECK(w.acked(w.result("dev1", named), verdict::accepted));
    CHECK(w.state(id) == update_state::offered);
    for (const auto& r : w.results("dev1")) CHECK_FALSE(r.row.update_id.has_value());
}

TEST_CASE("success with another version is a final failure") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.result("dev1", with(id, R"("status":"success","version":"1.0.9")"));
    CHECK(w.state(id) == update_state::failed);
    CHECK(w.update(id).row.error_code == "version_mismatch");
    CHECK(w.device("dev1").firmware_version == "1.0.9");
}

TEST_CASE("a last will only sets the device offline, also when it arrives before the disconnect") {
    world w;
    w.come("dev1");
    CHECK(w.acked(w.status("dev1", R"({"online":false})"), verdict::accepted));
    CHECK_FALSE(w.device("dev1").online);
    CHECK(w.device("dev1").firmware_version == "1.0.0");
    w.disconnect("dev1");
    w.connect("dev1");
    CHECK(w.device("dev1").online);
}

TEST_CASE("a will of an old connection does not set a connected device offline") {
    world w;
    w.come("dev1");
    w.connect("dev1", 2);
    w.disconnect("dev1", 1);
    w.status("dev1", R"({"online":false})"); // from session 1, which is gone
    CHECK(w.device("dev1").online);
}

TEST_CASE("a status that says nothing new is written at most once a minute") {
    world w;
    w.come("dev1");
    const auto commits = w.store.commits;
    for (int i = 0; i < 10; ++i)
        CHECK(w.acked(w.status("dev1", R"({"type":"sensor","version":"1.0.0"})"), verdict::accepted));
    CHECK(w.store.commits == commits);
    w.wait(61s);
    w.status("dev1", R"({"type":"sensor","version":"1.0.0"})");
    CHECK(w.store.commits == commits + 1);
    CHECK(w.device("dev1").last_seen == w.now);
}

TEST_CASE("download progress is exact in memory and written at most once a minute") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.progress("dev1", with(id, R"("state":"downloading","percent":1)"));
    const auto commits = w.store.commits;
    for (int p = 2; p < 50; ++p)
        w.progress("dev1", with(id, R"("state":"downloading","percent":)" + std::to_string(p)));
    CHECK(w.store.commits == commits);
    w.fota->live({"dev1"}, [&](auto live, const auto&) { CHECK(live->at(0).open_update->row.percent == 49); });
    w.wait(61s);
    w.progress("dev1", with(id, R"("state":"downloading","percent":50)"));
    CHECK(w.store.commits == commits + 1);
    CHECK(w.update(id).row.percent == 50);
}

TEST_CASE("what operators set, a device's status leaves alone") {
    world w;
    w.come("dev1");
    fb::storage::patch_device change{"dev1", "Cellar", std::nullopt, std::nullopt};
    w.fota->patch_device(change, "olga", w.now, [](auto d, const auto&) { CHECK(d->name == "Cellar"); });
    w.work();
    w.status("dev1", R"({"version":"1.0.1","name":"Roof"})");
    CHECK(w.device("dev1").name == "Cellar");
    CHECK(w.device("dev1").firmware_version == "1.0.1");
    CHECK(w.device("dev1").online);
}

TEST_CASE("a malformed report is answered as such, counted and changes nothing") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    const auto commits = w.store.commits;
    const std::string deep(10000, '[');
    const std::vector<std::pair<std::string, std::string>> table = {
        {"status", ""},
        {"status", "{"},
        {"status", "[]"},
        {"status", "{}"},
        {"status", "{\"version\":\"1\"} x"},
        {"status", R"({"version":1})"},
        {"status", R"({"version":""})"},
        {"status", R"({"version":null})"},
        {"status", R"({"version":")" + std::string(65, '1') + "\"}"},
        {"status", R"({"version":"1","firmware_version":2})"},
        {"status", R"({"version":"1","type":5})"},
        {"status", R"({"version":"1","name":[]})"},
        {"status", R"({"version":"1","hw_rev":{}})"},
        {"status", R"({"version":"1","ip":true})"},
        {"status", R"({"version":"1","battery":"full"})"},
        {"status", R"({"version":"1","boot_id":false})"},
        {"status", R"({"version":"1","online":"no"})"},
        {"status", R"({"version":"1","caps":[]})"},
        {"status", R"({"version":"1","caps":{"chunk":"big"}})"},
        {"status", R"({"version":"1","caps":{"http":1}})"},
        {"status", R"({"version":"1","caps":{"sig":[1]}})"},
        {"status", R"({"online":false,"type":"sensor"})"},
        {"status", R"({"version":"a\u0000b"})"},
        {"status", "{\"version\":\"\xff\xfe\"}"},
        {"status", R"({"version":"\udc00"})"},
        {"status", R"({"version":"1","x":)" + deep + "}"},
        {"status", R"({"version":"1","x":")" + std::string(16 * 1024, 'x') + "\"}"},
        {"update/progress", R"({"update_id":")" + id + "\"}"},
        {"update/progress", with(id, R"("state":"flying")")},
        {"update/progress", with(id, R"("state":1)")},
        {"update/progress", R"({"update_id":5,"state":"accepted"})"},
        {"update/progress", with(id, R"("state":"downloading","percent":101)")},
        {"update/progress", with(id, R"("state":"downloading","percent":-1)")},
        {"update/progress", with(id, R"("state":"downloading","percent":"5")")},
        {"update/progress", with(id, R"("state":"downloading","offset":-1)")},
        {"update/progress", with(id, R"("state":"downloading","offset":1.5)")},
        {"update/progress", with(id, R"("state":"downloading","offset":18446744073709551615)")},
        {"update/progress", with(id, R"("state":"deferred","retry_after_s":-5)")},
        {"update/progress", with(id, R"("state":"deferred","retry_after_s":1e300)")},
        {"update/result", R"({"status":"success"})"},
        {"update/result", R"({"version":"1.1.0"})"},
        {"update/result", R"({"status":"won","version":"1.1.0"})"},
        {"update/result", R"({"status":true,"version":"1.1.0"})"},
        {"update/result", R"({"status":"success","version":11})"},
        {"update/result", R"({"status":"success","version":"1.1.0","timestamp":[]})"},
        {"update/result", R"({"status":"success","version":"1.1.0","update_id":7})"},
        {"update/result", R"({"status":"success","version":"1.1.0","attempt":"1"})"},
        {"update/result", R"({"status":"success","version":"1.1.0","attempt":0})"},
        {"update/result", R"({"status":"success","version":"1.1.0","code":{}})"},
        {"update/result", R"({"status":"success","version":"1.1.0","message":3})"},
        {"fw/get", R"({"rid":-1,"offset":0,"length":4096})"},
        {"fw/get", R"({"rid":4294967296,"offset":0,"length":4096})"},
        {"fw/get", R"({"rid":1,"offset":0,"length":255})"},
        {"fw/get", R"({"rid":1,"offset":0,"length":65537})"},
        {"fw/get", R"({"rid":1,"offset":"0","length":4096})"},
        {"fw/get", R"({"rid":1,"offset":0,"length":4096,"count":0})"},
        {"fw/get", R"({"rid":1,"offset":0})"},
    };
    for (const auto& row : table) {
        const auto &topic = row.first, &payload = row.second;
        CAPTURE(topic);
        CAPTURE(payload.substr(0, 100));
        CHECK(w.acked(w.publish("dev1", "device/dev1/" + topic, payload), verdict::malformed));
    }
    CHECK(w.fota->statistics().reports_malformed == table.size());
    CHECK(w.store.commits == commits);
    CHECK(w.state(id) == update_state::offered);
}

TEST_CASE("unknown keys are ignored, 16 KiB are enough, and a doubled key counts the first time") {
    world w;
    w.come("dev1");
    const std::string head = R"({"version":"1.0.1","version":"6.6.6","blob":")";
    CHECK(w.acked(w.status("dev1", head + std::string(16 * 1024 - head.size() - 2, 'x') + "\"}"), verdict::accepted));
    CHECK(w.device("dev1").firmware_version == "1.0.1");
}

TEST_CASE("numbers as code, timestamp and boot_id are taken as text") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.status("dev1", R"({"version":"1.0.0","boot_id":17})");
    w.result("dev1",
             with(id, R"("status":"failed","version":"1.1.0","code":-22,"timestamp":1700000000,"message":"no space")"));
    const auto row = w.results("dev1").at(0).row;
    CHECK(row.code == "-22");
    CHECK(row.device_time == "1700000000");
    CHECK(row.message == "no space");
    CHECK(w.device("dev1").attributes.find(R"("boot_id":"17")") != std::string::npos);
}
