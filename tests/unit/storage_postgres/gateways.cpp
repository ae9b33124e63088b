// What gateways on one PostgreSQL have to do with each other: hints, NOTIFY, take-over, leases, keys.
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "postgres_world.hpp"
#include "storage/postgres/gateway_store.hpp"

using namespace fb::test;

namespace {

constexpr std::chrono::seconds long_ago{3600}; // nobody is

gateway a_gateway(std::uint8_t number) {
    gateway g;
    g.id.bytes.fill(number);
    g.name = "gateway " + std::to_string(number);
    g.peer_url = "https://gateway-" + std::to_string(number) + ":8443";
    return g;
}

/// A gateway on the schema of `s`, joined.
struct member {
    member(const postgres::settings& s, std::uint8_t number)
        : row(a_gateway(number))
        , fota(opened(s))
        , others(postgres::make_gateway_store(s)) {
        REQUIRE(words_of(*fota, {gateway_started{row}}) == "done");
        const auto joined = others->join(row.id);
        REQUIRE_MESSAGE(joined, joined.err().text);
        CHECK_FALSE(joined->replaced);
    }

    /// A device that it owns, offline, with an open update if asked for.
    device device_called(const std::string& id, bool work = false) {
        device d = device_of(id);
        d.gateway_id = row.id;
        d.session_epoch = 1;
        REQUIRE(words_of(*fota, {record_report{d, {}, {}, {}}}) == "done");
        if (!work) return d;
        firmware f;
        f.id = new_id<firmware_uuid>(test_time);
        f.version = id;
        f.state = firmware_state::approved;
        update u;
        u.id = new_id<update_uuid>(test_time);
        u.device_id = d.id;
        u.firmware_id = f.id;
        u.state = update_state::pending;
        REQUIRE(words_of(*fota, {save_firmware{f}, create_update{u, {}, {}}}) == "done done");
        return d;
    }
    void tell(const member& to, const device& about) {
        record_report op{about, {}, {}, {}};
        op.tell = hint{new_id<hint_uuid>(test_time), test_time, to.row.id, about.id, "look", {}};
        REQUIRE(words_of(*fota, {op}) == "done");
    }

    gateway row;
    std::unique_ptr<fota_store> fota;
    std::unique_ptr<gateway_store> others;
};

} // namespace

TEST_CASE("a hint is there until it is forgotten, for its gateway alone") {
    const auto s = fresh_settings();
    member a(s, 1), b(s, 2);
    const device d = a.device_called("dev");
    b.tell(a, d);
    CHECK(b.others->hints(10)->empty());
    const auto hints = a.others->hints(10);
    REQUIRE(hints->size() == 1);
    CHECK(hints->front().device_id == "dev");
    CHECK(hints->front().kind == "look");
    CHECK_FALSE(hints->front().update_id);
    CHECK(a.others->hints(10)->size() == 1);
    REQUIRE(a.others->forget({hints->front().id}));
    CHECK(a.others->hints(10)->empty());
    REQUIRE(a.others->forget({}));
}

TEST_CASE("whoever waits is woken by a hint") {
    const auto s = fresh_settings();
    member a(s, 1), b(s, 2);
    const device d = a.device_called("dev");
    REQUIRE(a.others->wait(std::chrono::milliseconds(1))); // listens from now on
    std::thread teller([&] { b.tell(a, d); });
    // Were it not woken, this test would take ten minutes and fail.
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(5);
    REQUIRE(a.others->wait(std::chrono::minutes(10)));
    CHECK(std::chrono::steady_clock::now() < end);
    teller.join();
    CHECK(a.others->hints(10)->size() == 1);
}

TEST_CASE("a connection that is cut is listened on anew") {
    const auto s = fresh_settings();
    member a(s, 1), b(s, 2);
    const device d = a.device_called("dev");
    REQUIRE(a.others->wait(std::chrono::milliseconds(1)));
    sql_in(s, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND pid <> "
              "pg_backend_pid()");
    eventually([&] { return bool(a.others->beat()); });
    REQUIRE(a.others->wait(std::chrono::milliseconds(1)));
    std::thread teller([&] { b.tell(a, d); });
    REQUIRE(a.others->wait(std::chrono::minutes(10)));
    teller.join();
    CHECK(a.others->hints(10)->size() == 1);
}

TEST_CASE("the devices of the dead, and of nobody, are taken by one of the living each") {
    const auto s = fresh_settings();
    member dead(s, 1), a(s, 2), b(s, 3);
    for (int i = 0; i < 20; ++i) dead.device_called("dead-" + std::to_string(i), i % 2 == 0);
    a.device_called("mine", true);
    REQUIRE(words_of(*a.fota, {registration("nobodys")}) == "done");
    CHECK(a.others->take_over(long_ago, 100)->devices == 1); // nobody's: its gateway cannot be waited for
    sql_in(s, "UPDATE gateways SET seen_at = seen_at - interval '1 hour' WHERE name = 'gateway 1'");
    std::vector<std::string> taken;
    int devices = 0;
    for (auto* one : {&a, &b, &a, &b, &a}) {
        const auto part = one->others->take_over(std::chrono::seconds(60), 5);
        REQUIRE(part);
        devices += part->devices;
        taken.insert(taken.end(), part->with_work.begin(), part->with_work.end());
    }
    CHECK(devices == 20);
    CHECK(taken.size() == 10);
    std::ranges::sort(taken);
    CHECK(std::ranges::adjacent_find(taken) == taken.end());
    CHECK(sql_in(s, "SELECT count(*) FROM devices WHERE session_epoch = 2 AND NOT online") == "20");
    CHECK(
        sql_in(s, "SELECT count(*) FROM devices d JOIN gateways g ON g.id = d.gateway_id WHERE g.name = 'gateway 3'") ==
        "10");
    const auto reader = std::move(*a.fota->open_reader());
    CHECK((*reader->find_device("mine"))->session_epoch == 1);
}

TEST_CASE("takers at the same moment do not get in each other's way") {
    const auto s = fresh_settings();
    member dead(s, 1), a(s, 2), b(s, 3);
    for (int i = 0; i < 40; ++i) dead.device_called("dead-" + std::to_string(i));
    REQUIRE(dead.others->leave());
    std::atomic<int> taken{0};
    const auto take = [&taken](member& one) {
        while (const int n = one.others->take_over(long_ago, 3)->devices) taken += n;
    };
    std::thread first([&] { take(a); }), second([&] { take(b); });
    first.join();
    second.join();
    CHECK(taken == 40);
    CHECK(sql_in(s, "SELECT max(session_epoch) FROM devices") == "2");
}

TEST_CASE("a second process under the same id makes the first one know") {
    const auto s = fresh_settings();
    member a(s, 1);
    CHECK_FALSE(a.others->beat()->replaced);
    member again(s, 1);
    CHECK(a.others->beat()->replaced);
    CHECK_FALSE(again.others->beat()->replaced);
    REQUIRE(a.others->leave()); // not in the other's name
    CHECK(sql_in(s, "SELECT seen_at IS NOT NULL FROM gateways") == "t");
}

TEST_CASE("peers are the others that live and can be asked") {
    const auto s = fresh_settings();
    member a(s, 1), b(s, 2), c(s, 3);
    REQUIRE(c.others->leave());
    const auto peers = a.others->peers(long_ago);
    REQUIRE(peers->size() == 1);
    CHECK(peers->front().id == b.row.id);
    CHECK(peers->front().peer_url == b.row.peer_url);
}

TEST_CASE("a lease has one holder, who may renew it, until it expires") {
    const auto s = fresh_settings();
    member a(s, 1), b(s, 2);
    CHECK(*a.others->lease("leader", long_ago));
    CHECK_FALSE(*b.others->lease("leader", long_ago));
    CHECK(*a.others->lease("leader", long_ago));
    CHECK(*b.others->lease("something else", long_ago));
    sql_in(s, "UPDATE leases SET expires_at = now() - interval '1 second' WHERE name = 'leader'");
    CHECK(*b.others->lease("leader", long_ago));
    CHECK_FALSE(*a.others->lease("leader", long_ago));
}

TEST_CASE("a secret is what the first one brought") {
    const auto s = fresh_settings();
    member a(s, 1), b(s, 2);
    CHECK(*a.others->shared_secret("url", "first") == "first");
    CHECK(*b.others->shared_secret("url", "second") == "first");
    CHECK(*b.others->shared_secret("peer", "other") == "other");
}

TEST_CASE("a gateway store says that the server is away, and is well when it is back") {
    auto s = fresh_settings();
    member a(s, 1);
    REQUIRE(a.others->wait(std::chrono::milliseconds(1)));
    postgres_server::shared().stop();
    CHECK(a.others->wait(std::chrono::minutes(10)).err().kind == error_kind::unavailable);
    CHECK(a.others->beat().err().kind == error_kind::unavailable);
    postgres_server::shared().start();
    eventually([&] { return bool(a.others->beat()); });
}
