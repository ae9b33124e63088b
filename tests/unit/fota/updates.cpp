// What updates do by themselves and what operators do to them: offers, time-outs, retries, the penalty box, deferral,
// verification and roll-back, trigger rules, cancel, supersede, restart, a clock set back.
#include "world.hpp"

using namespace fb::test;

namespace {

/// Brings an offered update into a state by the shortest way.
void bring(world& w, const std::string& id, update_state to) {
    if (to == update_state::offered) return;
    const char* name = to == update_state::verifying ? "rebooting" : fb::storage::to_string(to);
    w.progress("dev1", with(id, R"("state":")" + std::string(name) + "\""));
    REQUIRE(w.state(id) == to);
}

} // namespace

TEST_CASE("an offline device waits in pending and gets its command when it subscribes") {
    world w;
    w.come("dev1");
    w.disconnect("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    CHECK(w.state(id) == update_state::pending);
    CHECK(w.explain("dev1") == "offline");
    w.connect("dev1");
    CHECK(w.commands().empty());
    CHECK(w.explain("dev1") == "not_subscribed");
    CHECK_FALSE(w.update(id).row.sent_at.has_value());
    w.ready("dev1");
    const auto sent = w.commands();
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].topic == "device/dev1/update");
    CHECK(sent[0].expiry_s == 600);
    CHECK(w.update(id).row.sent_at == w.now);
}

TEST_CASE("each subscription repeats the open command up to downloaded, and changes nothing") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    const auto first = w.command();
    for (const auto state :
         {update_state::offered, update_state::accepted, update_state::downloading, update_state::downloaded}) {
        bring(w, id, state);
        const auto version = w.update(id).row.state_version;
        w.ready("dev1");
        CHECK(w.command() == first);
        CHECK(w.update(id).row.state_version == version);
    }
    for (const auto state : {update_state::installing, update_state::verifying}) {
        bring(w, id, state);
        w.ready("dev1");
        CHECK(w.commands().empty());
    }
}

TEST_CASE("a connection lost before accept ends the offer, not the attempt") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.disconnect("dev1");
    CHECK(w.state(id) == update_state::pending);
    CHECK(w.update(id).row.attempt == 1);
    w.connect("dev1");
    w.ready("dev1");
    CHECK(w.commands().size() == 2);
    CHECK(w.update(id).row.offer_no == 2);
}

TEST_CASE("only the last of a device's connections counts, and a late disconnect ends no newer one") {
    world w;
    w.come("dev1");
    w.connect("dev1", 2);
    const auto id = w.update_to("1.1.0", "dev1");
    w.disconnect("dev1", 2);
    CHECK(w.state(id) == update_state::offered);
    fb::fota::peer old{"dev1", {1, 1}, "192.0.2.7", std::nullopt}; // session 1's first connection
    w.connect("dev1", 1);
    w.fota->device_disconnected(old, w.now);
    w.work();
    CHECK(w.device("dev1").online);
    CHECK(w.state(id) == update_state::offered);
}

TEST_CASE("a lost connection after accept changes nothing") {
    for (const auto state :
         {update_state::accepted, update_state::downloading, update_state::installing, update_state::verifying}) {
        world w;
        w.come("dev1");
        const auto id = w.update_to("1.1.0", "dev1");
        bring(w, id, state);
        w.disconnect("dev1");
        CHECK(w.state(id) == state);
    }
}

TEST_CASE("an unanswered offer is made four times, then the attempt has failed") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.wait(39min);
    CHECK(w.commands().size() == 4);
    CHECK(w.state(id) == update_state::offered);
    w.wait(1min);
    CHECK(w.state(id) == update_state::pending);
    CHECK(w.update(id).row.attempt == 2);
    CHECK(w.update(id).row.error_code == "no_response");
}

TEST_CASE("a device that crashes at each offer gets four of them per attempt") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    for (int i = 0; i < 4; ++i) {
        w.disconnect("dev1");
        w.connect("dev1");
        w.ready("dev1");
    }
    CHECK(w.commands().size() == 4);
    CHECK(w.update(id).row.attempt == 2);
}

TEST_CASE("each state has its time-out and its code") {
    struct row {
        update_state state;
        std::chrono::seconds limit;
        const char* code;
    };
    for (const auto& r :
         {row{update_state::accepted, 30min, "not_started"}, row{update_state::downloading, 60min, "download_stalled"},
          row{update_state::downloaded, 24h, "not_installed"}, row{update_state::installing, 60min, "install_timeout"},
          row{update_state::verifying, 30min, "lost_after_update"}}) {
        CAPTURE(r.code);
        world w;
        w.come("dev1");
        const auto id = w.update_to("1.1.0", "dev1");
        bring(w, id, r.state);
        w.wait(r.limit - 1s);
        CHECK(w.state(id) == r.state);
        w.wait(1s);
        CHECK(w.update(id).row.error_code == r.code);
        CHECK(w.update(id).row.attempt == 2);
    }
}

TEST_CASE("byte progress keeps a download alive, repeated reports do not") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.progress("dev1", with(id, R"("state":"downloading","percent":10)"));
    w.wait(50min);
    w.progress("dev1", with(id, R"("state":"downloading","percent":20)"));
    w.wait(50min);
    CHECK(w.state(id) == update_state::downloading);
    w.progress("dev1", with(id, R"("state":"downloading","percent":20)"));
    w.wait(10min);
    CHECK(w.update(id).row.error_code == "download_stalled");
}

TEST_CASE("a pending update expires at its deadline, offline or not") {
    world w;
    w.come("dev1");
    w.disconnect("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.wait(std::chrono::hours(30 * 24) - 1s);
    CHECK(w.state(id) == update_state::pending);
    w.wait(1s);
    CHECK(w.state(id) == update_state::expired);
    CHECK_FALSE(w.fota->next_deadline().has_value());
}

TEST_CASE("failed and partial attempts are retried with growing waits, three times in all") {
    auto limits = test_settings();
    limits.fail_streak_max = 100;
    world w(limits);
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.commands();
    w.result("dev1", with(id, R"("status":"failed","version":"1.1.0","code":"E7")"));
    auto row = w.update(id).row;
    CHECK(row.state == update_state::pending);
    CHECK(row.error_code == "E7");
    CHECK(*row.not_before - w.now >= 60s);
    CHECK(*row.not_before - w.now <= 75s);
    CHECK(w.explain("dev1") == "backoff");
    w.wait(59s);
    CHECK(w.commands().empty());
    w.wait(16s);
    CHECK(w.command().find("\"attempt\":2") != std::string::npos);
    w.result("dev1", with(id, R"("status":"partial","version":"1.1.0")"));
    row = w.update(id).row;
    CHECK(*row.not_before - w.now >= 120s);
    CHECK(*row.not_before - w.now <= 150s);
    w.wait(150s);
    CHECK(w.command().find("\"attempt\":3") != std::string::npos);
    w.result("dev1", with(id, R"("status":"failed","version":"1.1.0")"));
    CHECK(w.state(id) == update_state::failed);
    CHECK(w.results("dev1").size() == 3);
}

TEST_CASE("three failures in a row block a device for a day; a success before that starts the count again") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    for (int attempt = 1; attempt <= 3; ++attempt) {
        w.result("dev1", with(id, R"("status":"failed","version":"1.1.0")"));
        w.wait(5min);
    }
    CHECK(w.device("dev1").fail_streak == 3);
    const auto firmware = w.add_firmware("1.2.0");
    auto answer = w.trigger(firmware, {"dev1"});
    REQUIRE(answer.refused.size() == 1);
    CHECK(answer.refused[0].reason == "blocked");
    w.wait(24h);
    answer = w.trigger(firmware, {"dev1"});
    REQUIRE(answer.updates.size() == 1);
    w.result("dev1", R"({"status":"success","version":"1.2.0"})");
    CHECK(w.device("dev1").fail_streak == 0);
    CHECK_FALSE(w.device("dev1").updates_blocked_until.has_value());
}

TEST_CASE("a pending update of a blocked device is offered when the block ends") {
    auto limits = test_settings();
    limits.fail_streak_max = 1;
    world w(limits);
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.commands();
    w.result("dev1", with(id, R"("status":"failed","version":"1.1.0")"));
    w.wait(23h);
    CHECK(w.explain("dev1") == "blocked");
    CHECK(w.commands().empty());
    w.wait(1h);
    CHECK(w.commands().size() == 1);
}

TEST_CASE("a deferred offer is made again when the device said, as often as it defers") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    for (int i = 1; i < 8; ++i) {
        CHECK(w.commands().size() == 1);
        w.progress("dev1", with(id, R"("state":"deferred","retry_after_s":7200)"));
        CHECK(w.state(id) == update_state::pending);
        CHECK(w.explain("dev1") == "deferred");
        w.progress("dev1", with(id, R"("state":"accepted")")); // of the offer that it ended
        CHECK(w.state(id) == update_state::pending);
        w.wait(2h);
        CHECK(w.update(id).row.offer_no == i + 1);
    }
    CHECK(w.update(id).row.attempt == 1);
}

TEST_CASE("a rejected update is over and counts for no penalty") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.progress("dev1", with(id, R"("state":"rejected","code":"low_battery","message":"12 %")"));
    CHECK(w.state(id) == update_state::rejected);
    CHECK(w.update(id).row.error_code == "low_battery");
    CHECK(w.device("dev1").fail_streak == 0);
}

TEST_CASE("a device that comes back with another version has rolled back") {
    world w;
    w.come("dev1");
    w.status("dev1", R"({"version":"1.0.0","boot_id":"a"})");
    const auto id = w.update_to("1.1.0", "dev1");
    bring(w, id, update_state::verifying);
    SUBCASE("told by a new boot_id") {
        w.status("dev1", R"({"version":"1.0.0","boot_id":"a"})"); // not rebooted yet
        CHECK(w.state(id) == update_state::verifying);
        w.status("dev1", R"({"version":"1.0.0","boot_id":"b"})");
    }
    SUBCASE("told by a reconnect, of a device without boot_id") {
        w.status("dev1", R"({"version":"1.0.0"})");
        CHECK(w.state(id) == update_state::verifying);
        w.disconnect("dev1");
        w.connect("dev1");
        w.status("dev1", R"({"version":"1.0.0"})");
    }
    SUBCASE("told by the time-out") {
        w.status("dev1", R"({"version":"1.0.0","boot_id":"a"})");
        w.wait(30min);
    }
    CHECK(w.state(id) == update_state::failed);
    CHECK(w.update(id).row.error_code == "rolled_back");
    CHECK(w.device("dev1").fail_streak == 1);
}

TEST_CASE("a status with the target version after the reboot is success") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    bring(w, id, update_state::verifying);
    w.disconnect("dev1");
    w.connect("dev1");
    w.status("dev1", R"({"version":"1.1.0"})");
    CHECK(w.state(id) == update_state::succeeded);
}

TEST_CASE("with a soak time an early success is final only after it") {
    auto limits = test_settings();
    limits.soak = 5min;
    world w(limits);
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.result("dev1", with(id, R"("status":"success","version":"1.1.0")"));
    CHECK(w.state(id) == update_state::verifying);
    SUBCASE("and nothing came between") {
        w.wait(5min - 1s);
        CHECK(w.state(id) == update_state::verifying);
        w.wait(1s);
        CHECK(w.state(id) == update_state::succeeded);
    }
    SUBCASE("and the device fell back") {
        w.disconnect("dev1");
        w.connect("dev1");
        w.status("dev1", R"({"version":"1.0.0"})");
        CHECK(w.update(id).row.error_code == "rolled_back");
    }
}

TEST_CASE("a device with caps.confirm has to confirm its early success") {
    world w;
    w.come("dev1");
    w.status("dev1", R"({"version":"1.0.0","caps":{"confirm":true}})");
    const auto id = w.update_to("1.1.0", "dev1");
    w.result("dev1", with(id, R"("status":"success","version":"1.1.0")"));
    CHECK(w.state(id) == update_state::verifying);
    SUBCASE("and does") {
        w.status("dev1", R"({"version":"1.1.0"})");
        CHECK(w.state(id) == update_state::succeeded);
    }
    SUBCASE("and does not") {
        w.wait(30min);
        CHECK(w.update(id).row.error_code == "lost_after_update");
    }
}

TEST_CASE("late proof makes a failed, expired or canceled update succeeded") {
    auto limits = test_settings();
    limits.attempts_max = 1;
    world w(limits);
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    bring(w, id, update_state::downloading);
    SUBCASE("a result after a failure") {
        w.wait(60min);
        CHECK(w.state(id) == update_state::failed);
        w.result("dev1", with(id, R"("status":"success","version":"1.1.0")"));
        CHECK(w.results("dev1").at(0).row.late);
    }
    SUBCASE("a status after a failure") {
        w.wait(60min);
        w.status("dev1", R"({"version":"1.1.0"})");
    }
    SUBCASE("a result after a cancel, of a device that names no update") {
        CHECK(w.cancel(id) == 200);
        w.result("dev1", R"({"status":"success","version":"1.1.0"})");
    }
    CHECK(w.state(id) == update_state::succeeded);
    CHECK(w.device("dev1").fail_streak == 0);
}

TEST_CASE("an ended update stays as it is otherwise") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.result("dev1", with(id, R"("status":"success","version":"1.1.0")"));
    w.result("dev1", with(id, R"("status":"failed","version":"1.1.0")"));
    w.progress("dev1", with(id, R"("state":"downloading")"));
    CHECK(w.state(id) == update_state::succeeded);
    CHECK(w.results("dev1").size() == 2);
}

TEST_CASE("cancel: silent in pending, published while it can be stopped, refused when it cannot") {
    world w;
    w.come("dev1");
    SUBCASE("pending") {
        w.disconnect("dev1");
        const auto id = w.update_to("1.1.0", "dev1");
        CHECK(w.cancel(id) == 200);
        CHECK(w.state(id) == update_state::canceled);
        w.connect("dev1");
        w.ready("dev1");
        CHECK(w.commands().empty());
        CHECK(w.cancel(id) == 200);
    }
    SUBCASE("offered to downloaded") {
        for (const auto state :
             {update_state::offered, update_state::accepted, update_state::downloading, update_state::downloaded}) {
            const auto id = w.update_to("1.1." + std::to_string(static_cast<int>(state)), "dev1");
            bring(w, id, state);
            w.commands();
            CHECK(w.cancel(id) == 200);
            CHECK(w.command() == R"({"action":"cancel","update_id":")" + id + "\"}");
            CHECK(w.state(id) == update_state::canceled);
        }
    }
    SUBCASE("installing, verifying and ended") {
        const auto id = w.update_to("1.1.0", "dev1");
        w.commands();
        for (const auto state : {update_state::installing, update_state::verifying}) {
            bring(w, id, state);
            CHECK(w.cancel(id) == 409);
            CHECK(w.state(id) == state);
        }
        w.result("dev1", R"({"status":"success","version":"1.1.0"})");
        CHECK(w.cancel(id) == 409);
        CHECK(w.commands().empty());
    }
    CHECK(w.cancel("0190b0a0-0000-7000-8000-000000000000") == 404);
    CHECK(w.cancel("nonsense") == 404);
}

TEST_CASE("a newer trigger supersedes what is not accepted, and is busy after that") {
    world w;
    w.come("dev1");
    const auto first = w.update_to("1.1.0", "dev1");
    const auto second = w.update_to("1.2.0", "dev1");
    CHECK(w.state(first) == update_state::superseded);
    CHECK(w.state(second) == update_state::offered);
    CHECK(w.commands().size() == 2);
    bring(w, second, update_state::accepted);
    const auto answer = w.trigger(w.add_firmware("1.3.0"), {"dev1"});
    REQUIRE(answer.refused.size() == 1);
    CHECK(answer.refused[0].reason == "busy");
    CHECK(w.state(second) == update_state::accepted);
}

TEST_CASE("the same trigger twice answers with the same update") {
    world w;
    w.come("dev1");
    const auto firmware = w.add_firmware("1.1.0");
    const auto first = w.trigger(firmware, {"dev1", "dev1"});
    CHECK(first.created);
    REQUIRE(first.updates.size() == 1);
    const auto second = w.trigger(firmware, {"dev1"});
    CHECK_FALSE(second.created);
    CHECK(second.updates.at(0).row.id == first.updates.at(0).row.id);
}

TEST_CASE("a trigger says for each device why it is refused") {
    world w;
    w.come("dev1", "2.0.0");
    w.come("dev2", "1.0.0");
    w.come("dev3", "1.0.0");
    w.status("dev3", R"({"version":"1.0.0","type":"valve"})");
    const auto firmware = w.add_firmware("1.9.0");
    const auto answer = w.trigger(firmware, {"dev1", "dev2", "dev3", "dev4"});
    CHECK(answer.updates.size() == 1);
    REQUIRE(answer.refused.size() == 3);
    CHECK(answer.refused[0].reason == "downgrade");
    CHECK(answer.refused[1].reason == "wrong_type");
    CHECK(answer.refused[2].reason == "unknown_device");
    CHECK(w.trigger(firmware, {"dev1"}, true).updates.size() == 1);
}

TEST_CASE("a version that is installed already is skipped") {
    world w;
    w.come("dev1", "1.1.0");
    const auto answer = w.trigger(w.add_firmware("1.1.0"), {"dev1"});
    REQUIRE(answer.updates.size() == 1);
    CHECK(answer.created);
    CHECK(answer.updates[0].row.state == update_state::skipped);
    CHECK(w.commands().empty());
}

TEST_CASE("a trigger by type reaches all devices of it, more than are in hand at once") {
    world w;
    for (int i = 0; i < 200; ++i) w.come("dev" + std::to_string(i));
    fb::fota::trigger_answer answer;
    const auto firmware = w.add_firmware("1.1.0");
    w.fota->trigger({firmware, {}, "sensor", false, "olga"}, w.now, [&](auto a, const auto&) { answer = *a; });
    w.work();
    CHECK(answer.updates.size() == 200);
    CHECK(w.commands().size() == 200);
}

TEST_CASE("revoked firmware is never offered") {
    world w;
    w.come("dev1");
    w.disconnect("dev1");
    const auto firmware = w.add_firmware("1.1.0");
    w.trigger(firmware, {"dev1"});
    w.fota->revoke_firmware(firmware, "olga", w.now, [](auto row, const auto&) { CHECK(row.has_value()); });
    w.work();
    w.connect("dev1");
    w.ready("dev1");
    CHECK(w.commands().empty());
    CHECK(w.explain("dev1") == "revoked");
    int status = 0;
    w.fota->trigger({firmware, {"dev1"}, std::nullopt, false, "olga"}, w.now,
                    [&](auto, const auto& why) { status = why.status; });
    CHECK(status == 409);
}

TEST_CASE("a restart in the middle goes on where the database stands") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    const auto command = w.command();
    w.restart();
    CHECK(w.state(id) == update_state::offered);
    w.connect("dev1");
    w.ready("dev1");
    CHECK(w.command() == command);
    w.progress("dev1", with(id, R"("state":"downloading","percent":40)"));
    w.restart();
    w.connect("dev1");
    w.progress("dev1", with(id, R"("state":"installing")"));
    w.restart();
    w.connect("dev1");
    w.result("dev1", with(id, R"("status":"success","version":"1.1.0")"));
    CHECK(w.state(id) == update_state::succeeded);
}

TEST_CASE("after a restart the time-outs of before still run, and devices are offline until they connect") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    bring(w, id, update_state::installing);
    w.restart();
    CHECK_FALSE(w.device("dev1").online);
    w.wait(60min);
    CHECK(w.update(id).row.error_code == "install_timeout");
}

TEST_CASE("a clock set back a year makes no time-out longer") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    bring(w, id, update_state::installing);
    w.wait(10min);
    w.now -= std::chrono::hours(365 * 24);
    w.fota->on_time(w.now);
    SUBCASE("while running") { w.wait(49min); }
    SUBCASE("while away") {
        w.restart();
        w.wait(59min);
    }
    CHECK(w.state(id) == update_state::installing);
    w.wait(2min);
    CHECK(w.update(id).row.error_code == "install_timeout");
}

TEST_CASE("a device that is gone and has nothing open leaves memory") {
    world w;
    w.come("dev1");
    w.disconnect("dev1");
    w.fota->live({"dev1"}, [](auto live, const auto&) { CHECK(live->empty()); });
    CHECK_FALSE(w.device("dev1").online);
}
