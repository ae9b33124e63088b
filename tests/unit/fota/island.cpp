// Island mode: the database is away. Reports are kept and acknowledged, nothing is decided by time, and when it is back
// everything is in it, once and in its order.
#include "world.hpp"

namespace fb::test {

namespace {

struct island {
    fake_spool spool;
    world w{test_settings(), storage::make_memory_fota_store(), &spool};

    std::string offered() {
        w.come("dev");
        const auto id = w.update_to("2.0.0", "dev");
        CHECK(w.commands().size() == 1);
        return id;
    }
};

} // namespace

TEST_CASE("a result that comes while the database is away is kept, acknowledged, and booked when it is back") {
    island i;
    const auto id = i.offered();
    i.w.database(true);
    const auto installing = i.w.progress("dev", with(id, R"("state":"installing")"));
    const auto received = i.w.now;
    const auto result = i.w.result("dev", with(id, R"("status":"success","version":"2.0.0","attempt":1)"));
    const auto status = i.w.status("dev", R"({"type":"sensor","version":"2.0.0"})");
    for (const auto token : {installing, result, status}) CHECK(i.w.acked(token, verdict::accepted));
    CHECK(i.w.state(id) == update_state::offered);
    CHECK(i.spool.reports.size() == 3);
    i.w.now += std::chrono::minutes(5);
    i.w.database(false);
    CHECK(i.w.state(id) == update_state::succeeded);
    CHECK(i.w.history(id) == std::vector<std::string>{"pending", "offered", "installing", "succeeded"});
    REQUIRE(i.w.results("dev").size() == 1);
    CHECK(i.w.results("dev").front().row.received_at == received);
    CHECK(i.w.device("dev").firmware_version == "2.0.0");
    CHECK(i.spool.reports.empty());
}

TEST_CASE("a write that fails makes an island, and nothing of its report is lost") {
    island i;
    const auto id = i.offered();
    i.w.store.state = disk::failing; // nobody has said so yet
    const auto result = i.w.result("dev", with(id, R"("status":"success","version":"2.0.0","attempt":1)"));
    CHECK(i.w.acked(result, verdict::accepted));
    CHECK(i.w.results("dev").empty());
    i.w.database(false);
    CHECK(i.w.state(id) == update_state::succeeded);
    CHECK(i.w.results("dev").size() == 1);
}

TEST_CASE("a time-out does not overtake a result that waits in the spool") {
    island i;
    const auto id = i.offered();
    i.w.progress("dev", with(id, R"("state":"installing")"));
    i.w.database(true);
    i.w.result("dev", with(id, R"("status":"success","version":"2.0.0","attempt":1)"));
    i.w.wait(std::chrono::hours(5)); // install_timeout is one hour
    i.w.database(false);
    CHECK(i.w.state(id) == update_state::succeeded);
    CHECK(i.w.history(id) == std::vector<std::string>{"pending", "offered", "installing", "succeeded"});
}

TEST_CASE("a time-out that came due on the island is decided after it") {
    island i;
    const auto id = i.offered();
    i.w.database(true);
    i.w.wait(std::chrono::hours(1));
    CHECK(i.w.commands().empty());
    i.w.database(false);
    CHECK(i.w.update(id).row.offer_no == 2);
}

TEST_CASE("a power cut on the island: the reports are booked after the start") {
    island i;
    const auto id = i.offered();
    i.w.database(true);
    const auto result = i.w.result("dev", with(id, R"("status":"success","version":"2.0.0","attempt":1)"));
    CHECK(i.w.acked(result, verdict::accepted));
    i.w.store.state = disk::well;
    i.w.restart();
    i.w.come("dev", "1.0.0"); // an old status behind what is in the spool, though it comes first
    i.w.database(false);
    CHECK(i.w.state(id) == update_state::succeeded);
    CHECK(i.w.results("dev").size() == 1);
}

TEST_CASE("a database that goes again in the middle of the spool: everything once") {
    island i;
    const auto id = i.offered();
    i.w.come("second");
    i.w.database(true);
    for (int n = 0; n < 3; ++n) i.w.status("second", R"({"type":"sensor","version":"1.0.)" + std::to_string(n) + "\"}");
    i.w.result("dev", with(id, R"("status":"success","version":"2.0.0","attempt":1)"));
    i.w.result("dev", with(id, R"("status":"success","version":"2.0.0","attempt":1)"));
    i.w.store.state = disk::held;
    i.w.fota->database_away(false, i.w.now);
    i.w.store.state = disk::well;
    i.w.store.work_one();
    i.w.store.state = disk::failing;
    i.w.work();
    CHECK_FALSE(i.spool.reports.empty());
    i.w.database(false);
    CHECK(i.spool.reports.empty());
    CHECK(i.w.device("second").firmware_version == "1.0.2");
    CHECK(i.w.results("dev").size() == 1);
    CHECK(i.w.state(id) == update_state::succeeded);
}

TEST_CASE("what waited in the spool does not undo what the device has said since, to another gateway") {
    island i;
    i.w.come("dev");
    i.w.database(true);
    i.w.status("dev", R"({"type":"sensor","version":"1.0.1"})");
    auto d = i.w.device("dev"); // another gateway, which can reach the database
    ++d.session_epoch;
    d.firmware_version = "1.0.2";
    d.last_seen = i.w.now + std::chrono::seconds(1);
    const storage::fota_operation newer = storage::record_report{d, {}, {}, {}};
    REQUIRE(i.w.stored->apply({&newer, 1}).front());
    i.w.now += std::chrono::minutes(1);
    i.w.database(false);
    CHECK(i.w.device("dev").firmware_version == "1.0.2");
    CHECK(i.spool.reports.empty());
}

TEST_CASE("a device that leaves on the island is offline when the database is back") {
    island i;
    i.offered();
    i.w.database(true);
    i.w.disconnect("dev");
    i.w.database(false);
    CHECK_FALSE(i.w.device("dev").online);
}

TEST_CASE("a device goes on with its download on the island") {
    island i;
    const auto id = i.offered();
    i.w.fetch("dev", R"({"rid":1,"offset":0,"length":4096})");
    const auto before = i.w.broker.chunks.size();
    CHECK(before > 0);
    i.w.database(true);
    i.w.fetch("dev", R"({"rid":2,"offset":0,"length":4096})");
    CHECK(i.w.broker.chunks.size() == 2 * before);
    i.w.connect("dev");
    i.w.ready("dev");
    CHECK(member(i.w.command(), "update_id") == id); // asked again for what it had been offered
}

TEST_CASE("a spool that is full: not acknowledged") {
    island i;
    const auto id = i.offered();
    i.w.database(true);
    i.spool.full = true;
    const auto result = i.w.result("dev", with(id, R"("status":"success","version":"2.0.0","attempt":1)"));
    CHECK(i.w.acked(result, verdict::unavailable));
}

TEST_CASE("nothing new begins on the island") {
    island i;
    i.w.come("dev");
    const auto firmware = i.w.add_firmware("2.0.0");
    i.w.database(true);
    int status = 0;
    i.w.fota->trigger({firmware, {"dev"}, std::nullopt, false, "olga"}, i.w.now,
                      [&](const auto&, const fota::problem& why) { status = why.status; });
    CHECK(status == 503);
}

TEST_CASE("malformed reports are refused on the island, too") {
    island i;
    i.w.come("dev");
    i.w.database(true);
    CHECK(i.w.acked(i.w.status("dev", "{"), verdict::malformed));
    CHECK(i.spool.reports.empty());
}

} // namespace fb::test
