// A connection that is cut around COMMIT, and a server that is killed there: what apply() says is what is in the
// database, and nothing is in there twice. A batch that ran again after it had been committed would be told by its
// outcomes: a known event key is a duplicate, a version that went on a conflict.
#include <doctest/doctest.h>

#include "cutting_proxy.hpp"
#include "postgres_world.hpp"

using namespace fb::test;

namespace {

/// A store behind a proxy with a device that has an open update.
struct proxied_world {
    cutting_proxy proxy;
    postgres::settings how = settings_through(proxy);
    std::unique_ptr<fota_store> store = opened(how);
    device d = device_of("press-7");
    firmware f;
    update u;

    proxied_world() {
        f.id = new_id<firmware_uuid>(test_time);
        f.device_type = "sensor";
        f.version = "2.0.0";
        f.state = firmware_state::approved;
        u.id = new_id<update_uuid>(test_time);
        u.device_id = d.id;
        u.firmware_id = f.id;
        u.state = update_state::pending;
        REQUIRE(words_of(*store, {record_report{d, {}, {}, {}}, save_firmware{f}, create_update{u, {}, {}}}) ==
                "done done done");
    }
    static postgres::settings settings_through(const cutting_proxy& proxy) {
        auto s = fresh_settings();
        s.url = proxy.url();
        return s;
    }

    /// A result that moves the update on by one version.
    std::vector<fota_operation> next_report(const std::string& key) {
        update wanted = u;
        wanted.offer_no = int(++u.state_version);
        return {record_report{{}, update_change{wanted, u.state_version - 1}, result_of(d, key), {}},
                registration("neighbour-" + key)};
    }
    void check_once(const std::string& key) {
        CHECK(sql_in(how, "SELECT count(*) FROM update_results WHERE event_key = '" + key + "'") == "1");
        CHECK(sql_in(how, "SELECT state_version FROM updates") == std::to_string(u.state_version));
        CHECK(sql_in(how, "SELECT count(*) FROM devices WHERE device_id = 'neighbour-" + key + "'") == "1");
    }
};

/// COMMITs stay under way: they wait for a standby that does not exist.
struct held_commits {
    held_commits() {
        set("ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "nobody");
        eventually(one_is_held); // a process of the server's own has to notice first
    }
    ~held_commits() { release(); }
    void release() { set("ALTER SYSTEM RESET synchronous_standby_names", ""); }
    static void set(const std::string& how, const std::string& until) {
        postgres_server& server = postgres_server::shared();
        server.sql(how);
        server.sql("SELECT pg_reload_conf()");
        eventually([&] { return server.sql("SHOW synchronous_standby_names") == until; });
    }
    /// Commits something over a connection of its own; true when that waits.
    static bool one_is_held() {
        PGconn* db = PQconnectdb(postgres_server::shared().url().c_str());
        PQsendQuery(db, "CREATE TABLE IF NOT EXISTS held (); DROP TABLE held");
        const std::string waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid = " +
                                  std::to_string(PQbackendPID(db));
        bool held = false;
        while (!held && PQconsumeInput(db) == 1 && PQisBusy(db)) held = postgres_server::shared().sql(waits) == "1";
        PQfinish(db);
        return held;
    }
};

bool somebody_asks(const std::string& what) {
    return postgres_server::shared().sql("SELECT count(*) > 0 FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
                                         "query LIKE '%" +
                                         what + "%'") == "t";
}

} // namespace

TEST_CASE("a connection cut before COMMIT reached the server: the batch is applied over the next one") {
    proxied_world w;
    w.proxy.cut_next(cut::before_commit);
    CHECK(words_of(*w.store, w.next_report("k1")) == "done done");
    CHECK(w.proxy.has_cut());
    w.check_once("k1");
}

TEST_CASE(
    "a connection cut after the server committed: the outcomes are what they were, and nothing is applied again") {
    proxied_world w;
    w.proxy.cut_next(cut::after_commit);
    CHECK(words_of(*w.store, w.next_report("k1")) == "done done");
    CHECK(w.proxy.has_cut());
    w.check_once("k1");
}

TEST_CASE("a COMMIT that is still under way when the connection is cut is waited for") {
    proxied_world w;
    held_commits held;
    w.proxy.cut_next(cut::with_commit_under_way);
    std::string words;
    std::thread writer([&] { words = words_of(*w.store, w.next_report("k1")); });
    eventually([&] { return w.proxy.has_cut() && somebody_asks("pg_xact_status"); });
    held.release();
    writer.join();
    CHECK(words == "done done");
    w.check_once("k1");
}

TEST_CASE("a server killed with COMMIT on its disk and unanswered: after its start the batch is known to be there") {
    proxied_world w;
    held_commits held;
    std::string words;
    std::thread writer([&] { words = words_of(*w.store, w.next_report("k1")); });
    eventually([&] {
        return postgres_server::shared().sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND "
                                             "query = 'COMMIT'") == "1";
    });
    postgres_server::shared().crash();
    postgres_server::shared().start();
    held.release();
    writer.join();
    CHECK(words == "done done");
    w.check_once("k1");
}

TEST_CASE("a server killed before COMMIT: nothing of the batch is there, and it is applied after the start") {
    proxied_world w;
    sql_in(w.how,
           "CREATE FUNCTION crash_here() RETURNS trigger LANGUAGE plpgsql AS "
           "$$ BEGIN PERFORM pg_sleep(3600); RETURN NEW; END $$; "
           "CREATE TRIGGER crash_here BEFORE INSERT ON update_results FOR EACH ROW EXECUTE FUNCTION crash_here()");
    std::string words;
    std::thread writer([&] { words = words_of(*w.store, w.next_report("k1")); });
    eventually([&] {
        return postgres_server::shared().sql(
                   "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "t";
    });
    postgres_server::shared().crash();
    writer.join();
    CHECK(words == "unavailable unavailable");
    postgres_server::shared().start();
    CHECK(sql_in(w.how, "SELECT count(*) FROM update_results") == "0");
    CHECK(sql_in(w.how, "SELECT state_version FROM updates") == "0");
    sql_in(w.how, "DROP TRIGGER crash_here ON update_results");
    w.u.state_version = 0;
    eventually([&] {
        const auto again = words_of(*w.store, w.next_report("k1"));
        if (again != "done done") w.u.state_version = 0;
        return again == "done done";
    });
    w.check_once("k1");
}

TEST_CASE("wherever a connection is cut, each batch is applied once") {
    proxied_world w;
    for (std::size_t bytes = 1; bytes < 12'000; bytes += 397) {
        CAPTURE(bytes);
        const std::string key = "k" + std::to_string(bytes);
        w.proxy.cut_next(cut::after_bytes, bytes);
        CHECK(words_of(*w.store, w.next_report(key)) == "done done");
        w.check_once(key);
        w.proxy.cut_next(cut::never);
        CHECK(words_of(*w.store, {touch_token{new_id<token_uuid>(test_time), test_time}}) == "not_found");
    }
}
