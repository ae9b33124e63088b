// Two gateways on one database: whose a device is, what the other one may do for it, and what is told to whom.
#include "world.hpp"

namespace fb::test {

namespace {

fota::settings gateway_settings(char number) {
    auto s = test_settings();
    s.shared = true;
    s.self.id.bytes.fill(static_cast<std::uint8_t>(number));
    s.self.name = std::string("gateway ") + number;
    return s;
}

struct two_gateways {
    std::shared_ptr<storage::fota_store> db = storage::make_memory_fota_store();
    world a{gateway_settings('a'), db};
    world b{gateway_settings('b'), db};

    void wait(std::chrono::milliseconds time) {
        a.wait(time);
        b.wait(time);
    }
    bool owner(const std::string& device, const world& w) { return a.device(device).gateway_id == w.limits.self.id; }
};

} // namespace

TEST_CASE("CONNECT makes a device the gateway's, with a new epoch") {
    two_gateways g;
    g.b.come("dev");
    CHECK(g.owner("dev", g.b));
    const auto epoch = g.b.device("dev").session_epoch;
    CHECK(epoch > 0);
    g.a.connect("dev");
    CHECK(g.owner("dev", g.a));
    CHECK(g.a.device("dev").session_epoch == epoch + 1);
    CHECK(g.a.device("dev").online);
}

TEST_CASE("an update triggered here reaches a device that is connected there") {
    two_gateways g;
    g.b.come("dev");
    const auto id = g.a.update_to("2.0.0", "dev");
    CHECK(g.a.commands().empty());
    CHECK(g.a.explain("dev") == "other_gateway");
    g.b.hear(g.a);
    CHECK(member(g.b.command(), "update_id") == id);
    CHECK(g.a.state(id) == update_state::offered);
    g.b.result("dev", with(id, R"("status":"success","version":"2.0.0","attempt":1)"));
    CHECK(g.a.state(id) == update_state::succeeded);
    CHECK(g.a.history(id) == std::vector<std::string>{"pending", "offered", "succeeded"});
}

TEST_CASE("a hint that comes twice publishes nothing twice") {
    two_gateways g;
    g.b.come("dev");
    g.a.update_to("2.0.0", "dev");
    const auto told = g.a.store.told;
    g.b.hear(g.a);
    CHECK(g.b.commands().size() == 1);
    g.a.store.told = told;
    g.b.hear(g.a);
    CHECK(g.b.commands().empty());
}

TEST_CASE("an update canceled here is recalled there") {
    two_gateways g;
    g.b.come("dev");
    const auto id = g.a.update_to("2.0.0", "dev");
    g.b.hear(g.a);
    g.b.commands();
    CHECK(g.a.cancel(id) == 200);
    g.b.hear(g.a);
    CHECK(g.b.command().find(R"("action":"cancel")") != std::string::npos);
    CHECK(g.b.explain("dev") == "no_open_update");
    g.b.wait(std::chrono::hours(1)); // its time-outs are gone, too
    CHECK(g.a.state(id) == update_state::canceled);
}

TEST_CASE("a device that moves takes its open update along, and the gateway it left decides nothing any more") {
    two_gateways g;
    g.a.come("dev");
    const auto id = g.a.update_to("2.0.0", "dev");
    CHECK(g.a.commands().size() == 1);
    g.b.connect("dev"); // a has not noticed that its connection is dead
    g.b.ready("dev");
    CHECK(member(g.b.command(), "update_id") == id);
    const auto offers = g.a.update(id).row.offer_no;
    g.a.wait(std::chrono::hours(1)); // a's time-outs come due, with what it remembers
    CHECK(g.a.commands().empty());
    CHECK(g.a.update(id).row.offer_no == offers);
    g.a.disconnect("dev");
    CHECK(g.b.device("dev").online);
    CHECK(g.a.state(id) == update_state::offered);
    g.b.progress("dev", with(id, R"("state":"installing")"));
    CHECK(g.b.state(id) == update_state::installing);
}

TEST_CASE(
    "a report that comes over the connection of a gateway that lost the device is booked, and told to its owner") {
    two_gateways g;
    g.a.come("dev");
    const auto id = g.a.update_to("2.0.0", "dev");
    g.b.connect("dev");
    g.b.ready("dev");
    const auto token = g.a.progress("dev", with(id, R"("state":"installing")"));
    CHECK(g.a.acked(token, verdict::accepted));
    CHECK(g.owner("dev", g.b));
    g.b.commands();
    g.b.hear(g.a);
    CHECK(g.b.commands().empty()); // installing: nothing to be said
    CHECK(g.b.explain("dev") == "installing");
}

TEST_CASE("a last will that comes late does not take a device offline that is connected elsewhere") {
    two_gateways g;
    g.a.come("dev");
    g.b.connect("dev");
    g.a.disconnect("dev");
    const auto will = g.a.status("dev", R"({"online":false})");
    CHECK(g.a.acked(will, verdict::accepted));
    CHECK(g.b.device("dev").online);
    CHECK(g.owner("dev", g.b));
}

TEST_CASE("a device that came and went before it could be claimed stays whose it is, online") {
    two_gateways g;
    g.b.come("dev");
    g.a.store.state = disk::failing;
    g.a.connect("dev");
    g.a.disconnect("dev");
    g.a.store.state = disk::well;
    g.a.wait(std::chrono::minutes(5));
    CHECK(g.owner("dev", g.b));
    CHECK(g.b.device("dev").online);
}

TEST_CASE("a device connected to both belongs to the one that still has it when the other lost it") {
    two_gateways g;
    g.a.come("dev");
    g.b.connect("dev");
    g.a.hear(g.b);
    CHECK(g.owner("dev", g.b));
    g.b.disconnect("dev");
    CHECK_FALSE(g.a.device("dev").online);
    g.a.fota->look_around(g.a.now);
    g.a.work();
    CHECK(g.owner("dev", g.a));
    CHECK(g.a.device("dev").online);
}

TEST_CASE("a gateway that starts takes up the updates of its own devices only") {
    two_gateways g;
    g.a.come("mine");
    g.b.come("other");
    const auto mine = g.a.update_to("2.0.0", "mine");
    const auto other = g.b.update_to("2.0.1", "other");
    g.a.restart();
    CHECK_FALSE(g.a.device("mine").online);
    CHECK(g.a.device("other").online);
    g.a.wait(std::chrono::hours(24 * 31)); // a's deadline, not b's
    CHECK(g.b.state(mine) == update_state::expired);
    CHECK(g.b.state(other) == update_state::offered);
}

TEST_CASE("two triggers at once from two gateways make one update") {
    two_gateways g;
    g.b.come("dev");
    const auto firmware = g.a.add_firmware("2.0.0");
    g.a.store.state = disk::held; // both decide before either writes
    g.a.trigger(firmware, {"dev"});
    g.b.trigger(firmware, {"dev"});
    g.a.store.state = disk::well;
    g.a.work();
    storage::list_query q;
    CHECK(g.a.store.reader().list_updates(q)->items.size() == 1);
    CHECK(g.b.commands().size() == 1);
}

TEST_CASE("a firmware revoked here is not offered there") {
    two_gateways g;
    g.b.connect("dev");
    g.b.status("dev", R"({"type":"sensor","version":"1.0.0"})");
    const auto id = g.b.update_to("2.0.0", "dev");
    CHECK(g.b.explain("dev") == "not_subscribed");
    g.a.fota->revoke_firmware(to_string(g.a.update(id).row.firmware_id), "olga", g.a.now,
                              [](const auto&, const auto&) {});
    g.a.work();
    g.b.ready("dev");
    CHECK(g.b.commands().empty());
    CHECK(g.b.explain("dev") == "revoked");
}

TEST_CASE("names that an operator set here stay when the device reports there") {
    two_gateways g;
    g.b.come("dev");
    g.a.fota->patch_device({"dev", "the pump", std::nullopt, R"(["cellar"])"}, "olga", g.a.now,
                           [](const auto&, const auto&) {});
    g.a.work();
    g.b.status("dev", R"({"type":"sensor","version":"1.0.1","name":"esp32-17"})"); // before b has heard of it
    CHECK(g.a.device("dev").name == "the pump");
    CHECK(g.a.device("dev").tags == R"(["cellar"])");
    CHECK(g.a.device("dev").firmware_version == "1.0.1");
}

TEST_CASE("a file that is not here is asked for, and the offer waits for it") {
    two_gateways g;
    std::vector<std::string> wanted;
    g.b.fota->on_missing_file([&](const storage::firmware& f) { wanted.push_back(f.checksum.substr(7)); });
    g.b.come("dev");
    const auto id = g.a.update_to("2.0.0", "dev");
    g.b.hear(g.a);
    CHECK(g.b.commands().empty());
    CHECK(g.b.explain("dev") == "fetching");
    REQUIRE_FALSE(wanted.empty());
    std::filesystem::copy_file(g.a.blobs.path_of(wanted.front()), g.b.blobs.path_of(wanted.front()));
    g.b.fota->file_arrived(wanted.front(), g.b.now);
    g.b.work();
    CHECK(member(g.b.command(), "update_id") == id);
}

} // namespace fb::test
