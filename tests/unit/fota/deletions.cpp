// Devices and firmwares that operators delete: what is refused, what is told to the device, and that it may come back.
#include "world.hpp"

using namespace fb::test;

namespace {

/// The HTTP status, 204 for success.
int deleted(world& w, const std::string& device, bool force = false) {
    int status = 0;
    w.fota->delete_device(device, force, "olga", w.now,
                          [&](const auto& row, const fb::fota::problem& why) { status = row ? 204 : why.status; });
    w.work();
    return status;
}

int deleted_firmware(world& w, const std::string& id) {
    int status = 0;
    w.fota->delete_firmware(id, "olga", w.now,
                            [&](const auto& row, const fb::fota::problem& why) { status = row ? 204 : why.status; });
    w.work();
    return status;
}

bool registered(world& w, const std::string& device) {
    const auto reader = w.stored->open_reader();
    return (*(*reader)->find_device(device)).has_value();
}

void brought_to(world& w, const std::string& id, const char* state) {
    w.progress("dev1", with(id, R"("state":")" + std::string(state) + "\""));
    REQUIRE(fb::storage::to_string(w.state(id)) == std::string(state));
}

} // namespace

TEST_CASE("a deleted device that is connected registers itself again with its next status") {
    world w;
    w.come("dev1");
    CHECK(deleted(w, "dev1") == 204);
    CHECK_FALSE(registered(w, "dev1"));
    CHECK(deleted(w, "dev1") == 404);
    CHECK(deleted(w, "nobody") == 404);
    const auto token = w.status("dev1", R"({"version":"1.0.0"})");
    CHECK(w.acked(token, verdict::accepted));
    CHECK(registered(w, "dev1"));
    CHECK(w.device("dev1").online);
    const auto id = w.update_to("1.1.0", "dev1"); // and is as good as any
    CHECK(w.state(id) == update_state::offered);
}

TEST_CASE("a device that is away is deleted, and a disconnect does not bring it back") {
    world w;
    w.come("dev1");
    CHECK(deleted(w, "dev1") == 204);
    w.disconnect("dev1");
    CHECK_FALSE(registered(w, "dev1"));
    w.come("dev2");
    w.disconnect("dev2");
    CHECK(deleted(w, "dev2") == 204);
    CHECK_FALSE(registered(w, "dev2"));
}

TEST_CASE("an update that was offered is taken back with the device") {
    world w;
    w.come("dev1");
    const auto id = w.update_to("1.1.0", "dev1");
    w.commands();
    CHECK(deleted(w, "dev1") == 204);
    const auto command = w.command();
    CHECK(member(command, "action") == "cancel");
    CHECK(member(command, "update_id") == id);
    CHECK_FALSE(registered(w, "dev1"));
    w.wait(std::chrono::hours(24)); // no time-out of it is left
    CHECK(w.commands().empty());
}

TEST_CASE("an update past accepted keeps its device, unless it is forced") {
    for (const char* state : {"downloading", "downloaded", "installing"}) {
        world w;
        w.come("dev1");
        const auto id = w.update_to("1.1.0", "dev1");
        brought_to(w, id, state);
        CHECK(deleted(w, "dev1") == 409);
        CHECK(registered(w, "dev1"));
        w.commands();
        CHECK(deleted(w, "dev1", true) == 204);
        CHECK_FALSE(registered(w, "dev1"));
        CHECK(w.commands().size() == (state == std::string("installing") ? 0 : 1)); // too late to stop there
        const auto token = w.result("dev1", with(id, R"("status":"success","version":"1.1.0")"));
        CHECK(w.acked(token, verdict::accepted)); // unsolicited, and registers it
        CHECK(w.device("dev1").firmware_version == "1.1.0");
    }
    world w;
    w.come("dev1");
    brought_to(w, w.update_to("1.1.0", "dev1"), "accepted");
    CHECK(deleted(w, "dev1") == 204);
}

TEST_CASE("a database that fails deletes nothing, and says so") {
    world w;
    w.come("dev1");
    w.store.state = disk::failing;
    CHECK(deleted(w, "dev1") == 503);
    w.store.state = disk::well;
    CHECK(registered(w, "dev1"));
    CHECK(deleted(w, "dev1") == 204);
}

TEST_CASE("a firmware is deleted when nothing needs it") {
    world w;
    w.come("dev1");
    const auto id = w.add_firmware("1.1.0");
    CHECK(deleted_firmware(w, id) == 204);
    CHECK(deleted_firmware(w, id) == 404);
    CHECK(deleted_firmware(w, "no uuid") == 404);
    const auto wanted = w.add_firmware("1.2.0", "other image");
    w.trigger(wanted, {"dev1"});
    CHECK(deleted_firmware(w, wanted) == 409);
}
