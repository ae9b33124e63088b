// What goes into the audit log when things do not go straight: a store that fails, a device that was faster.
#include "world.hpp"

using namespace fb::test;

namespace {

/// Actions with their actors, without the uploads that prepare a test.
std::vector<std::string> logged(world& w) {
    std::vector<std::string> out;
    const auto rows = w.store.reader().audit_rows(0, 1000);
    for (const auto& row : *rows)
        if (row.entry.action != "firmware.upload") out.push_back(row.entry.actor + " " + row.entry.action);
    return out;
}

} // namespace

TEST_CASE("a trigger is logged with the first device that gets its update, and once") {
    world w;
    for (const char* id : {"a", "b", "c", "d"}) w.come(id);
    const auto firmware = w.add_firmware("1.1.0");
    std::optional<fb::fota::trigger_answer> answer;
    w.store.state = disk::held;
    w.fota->trigger({firmware, {"nobody", "a", "b", "c", "d"}, std::nullopt, false, "olga"}, w.now,
                    [&](auto given, const auto&) { answer = std::move(given); });
    CHECK(w.store.waiting() == 1); // the others wait to see whether it is logged
    w.store.state = disk::failing;
    w.store.work_one();
    CHECK(logged(w).empty());
    w.store.state = disk::well;
    w.store.work_one();
    CHECK(w.store.waiting() >= 2);
    w.work();
    REQUIRE(answer);
    CHECK(answer->updates.size() == 3);
    CHECK(answer->refused.size() == 2);
    CHECK(logged(w) == std::vector<std::string>{"olga update.trigger"});
    CHECK(w.store.reader().newest_audit_row()->value().entry.detail->ends_with("5 devices: nobody, a, b, c, d"));
}

TEST_CASE("a cancel that is not stored is not logged") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.store.state = disk::failing;
    CHECK(w.cancel(id) == 503);
    w.store.state = disk::well;
    CHECK(logged(w) == std::vector<std::string>{"olga update.trigger"});
    CHECK(w.cancel(id) == 200);
    CHECK(logged(w).back() == "olga update.cancel");
}

TEST_CASE("a cancel that lost the race is logged, whether a result or a status shows it") {
    for (const bool by_result : {true, false}) {
        CAPTURE(by_result);
        world w;
        w.come("dev1");
        const auto id = w.update_to("1.1.0", "dev1");
        CHECK(w.cancel(id) == 200);
        for (int i = 0; i < 2; ++i)
            by_result ? w.result("dev1", R"({"status":"success","version":"1.1.0"})")
                      : w.status("dev1", R"({"version":"1.1.0"})");
        CHECK(w.state(id) == update_state::succeeded);
        CHECK(logged(w) ==
              std::vector<std::string>{"olga update.trigger", "olga update.cancel", "fotabroker update.cancel_lost"});
    }
}

TEST_CASE("a late proof of what had failed is no operator's matter") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.result("dev1", R"({"status":"success","version":"9.9.9","update_id":")" + id + "\"}"); // final
    REQUIRE(w.state(id) == update_state::failed);
    w.status("dev1", R"({"version":"1.1.0"})");
    CHECK(w.state(id) == update_state::succeeded);
    CHECK(logged(w) == std::vector<std::string>{"olga update.trigger"});
}
