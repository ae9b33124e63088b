// What can be wrong with a server, and which error each fault gives: the kind decides what callers do, the words what
// people do. None of it may show a password.
#include <doctest/doctest.h>

#include "cutting_proxy.hpp"
#include "postgres_world.hpp"
#include "storage/postgres/errors.hpp"
#include "storage/postgres/values.hpp"

using namespace fb::test;

namespace {

error opening(const postgres::settings& s) {
    const auto store = postgres::open_fota_store(s);
    REQUIRE_FALSE(store);
    return store.err();
}

bool says(const error& e, const std::string& words) { return e.text.find(words) != std::string::npos; }

/// Another session's transaction, open until it is destroyed.
class other_session {
  public:
    other_session(const postgres::settings& s, const std::string& sql)
        : db_(PQconnectdb(postgres_server::shared().url().c_str())) {
        PQclear(PQexec(db_, ("SET search_path = " + s.schema + "; BEGIN").c_str()));
        PGresult* ran = PQexec(db_, sql.c_str());
        CHECK_MESSAGE(PQresultStatus(ran) != PGRES_FATAL_ERROR, PQerrorMessage(db_));
        PQclear(ran);
    }
    ~other_session() { PQfinish(db_); }
    other_session(const other_session&) = delete;
    other_session& operator=(const other_session&) = delete;
    void run(const char* sql) { PQclear(PQexec(db_, sql)); }
    void commit() { run("COMMIT"); }

  private:
    PGconn* db_;
};

} // namespace

TEST_CASE("a server that stops: writes and reads are unavailable, and go on by themselves when it is back") {
    const auto s = fresh_settings();
    const auto store = opened(s);
    const auto reader = std::move(*store->open_reader());
    REQUIRE(words_of(*store, {registration("before")}) == "done");
    REQUIRE(*reader->find_device("before"));
    postgres_server::shared().stop();
    CHECK(words_of(*store, {registration("during"), registration("too")}) == "unavailable unavailable");
    CHECK(store->apply(std::vector{registration("during")})[0].err().retryable());
    CHECK(reader->find_device("before").err().kind == error_kind::unavailable);
    CHECK(opening(s).kind == error_kind::unavailable);
    postgres_server::shared().start();
    eventually([&] { return words_of(*store, {registration("after")}) == "done"; });
    eventually([&] { return static_cast<bool>(reader->find_device("after")); });
    CHECK(sql_in(s, "SELECT string_agg(device_id, ' ' ORDER BY device_id) FROM devices") == "after before");
}

TEST_CASE("a restart between two uses costs nobody anything") {
    const auto store = opened(fresh_settings());
    const auto reader = std::move(*store->open_reader());
    REQUIRE(words_of(*store, {registration("a")}) == "done");
    REQUIRE(*reader->find_device("a"));
    postgres_server::shared().stop();
    postgres_server::shared().start();
    CHECK(*reader->find_device("a"));
    CHECK(words_of(*store, {registration("b")}) == "done");
}

TEST_CASE("wrong password, role, database: each is named, waiting does not cure it, and no text shows the password") {
    const std::string secret = "open-sesame", guess = "guess-5837";
    postgres_server& server = postgres_server::shared();
    server.sql("CREATE ROLE with_password LOGIN SUPERUSER PASSWORD '" + secret + "'");
    auto s = fresh_settings();
    s.url = postgres_server::url_at(server.sockets(), "with_password");
    s.password = guess;
    const error wrong = opening(s);
    CHECK(wrong.kind == error_kind::invalid);
    CHECK(says(wrong, "password authentication failed for user \"with_password\""));
    CHECK(says(wrong, "check the role's name and the password"));
    CHECK_FALSE(says(wrong, guess));
    CHECK_FALSE(says(wrong, "LOCATION"));
    s.password = secret;
    CHECK(opened(s));
    s.password.clear();
    CHECK(says(opening(s), "no password supplied"));

    s.url = postgres_server::url_at(server.sockets(), "nobody_here");
    CHECK(opening(s).kind == error_kind::invalid);
    CHECK(says(opening(s), "role \"nobody_here\" does not exist"));
    s.url = postgres_server::url_at(server.sockets(), "fotabroker", "no_such_db");
    CHECK(opening(s).kind == error_kind::invalid);
    CHECK(says(opening(s), "database \"no_such_db\" does not exist"));
    CHECK(says(opening(s), "create the database"));
}

TEST_CASE("a role without the right to make tables is told what to grant") {
    postgres_server::shared().sql("CREATE ROLE guest LOGIN");
    auto s = fresh_settings();
    s.url = postgres_server::url_at(postgres_server::shared().sockets(), "guest");
    const error refused = opening(s);
    CHECK(refused.kind == error_kind::invalid);
    CHECK(says(refused, "permission denied"));
    CHECK(says(refused, "grant the role"));
}

TEST_CASE("a server that is read-only says so") {
    auto s = fresh_settings();
    opened(s);
    s.url += "&options=-c%20default_transaction_read_only%3Don";
    const error refused = opening(s);
    CHECK(refused.kind == error_kind::unavailable);
    CHECK(says(refused, "read-only"));
    CHECK(says(refused, "target_session_attrs"));
}

TEST_CASE("a password that changes while the broker runs makes the database unavailable, not the reports wrong") {
    postgres_server& server = postgres_server::shared();
    server.sql("CREATE ROLE changing LOGIN SUPERUSER");
    auto s = fresh_settings();
    s.url = postgres_server::url_at(server.sockets(), "changing");
    const auto store = opened(s);
    server.sql("ALTER ROLE changing NOLOGIN");
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'changing'");
    eventually([&] { return server.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'changing'") == "0"; });
    CHECK(words_of(*store, {registration("a")}) == "unavailable");
    server.sql("ALTER ROLE changing LOGIN");
    eventually([&] { return words_of(*store, {registration("a")}) == "done"; });
}

TEST_CASE("a statement that takes too long is busy, and the batch is not applied") {
    auto s = fresh_settings();
    {
        const auto store = opened(s);
        REQUIRE(words_of(*store, {registration("a")}) == "done");
    }
    s.statement_timeout = std::chrono::milliseconds(500);
    std::unique_ptr<fota_store> store;
    eventually([&] { // on a machine with much to do, opening may take that long, too
        auto again = postgres::open_fota_store(s);
        if (again) store = std::move(*again);
        return store != nullptr;
    });
    {
        const other_session lock(s, "UPDATE devices SET name = 'held'");
        CHECK(words_of(*store, {registration("b"), patch_device{"a", "x", {}, {}}}) == "busy busy");
    }
    CHECK(sql_in(s, "SELECT device_id FROM devices") == "a");
    eventually([&] { return words_of(*store, {patch_device{"a", "x", {}, {}}}) == "done"; });
}

TEST_CASE("a server that falls silent is given up at our own time limit") {
    cutting_proxy proxy;
    auto s = fresh_settings();
    s.url = proxy.url();
    opened(s);
    s.statement_timeout = std::chrono::seconds(2);
    s.answer_grace = {};
    const auto store = opened(s);
    proxy.cut_next(cut::silence);
    const auto words = words_of(*store, {registration("a")}); // COMMIT never arrived; asked, found out, applied again
    CHECK(words == "done");
    CHECK(sql_in(s, "SELECT count(*) FROM devices") == "1");
}

TEST_CASE("text that PostgreSQL does not keep is one operation's own error") {
    const auto s = fresh_settings();
    const auto store = opened(s);
    device with_nul = device_of("nul"), broken = device_of("broken");
    with_nul.name = std::string("a\0b", 3);
    broken.name = "\xff\xfe";
    CHECK(words_of(*store, {registration("a"), record_report{with_nul, {}, {}, {}}, record_report{broken, {}, {}, {}},
                            patch_device{"a", std::string("\0", 1), {}, {}}, registration("b")}) ==
          "done invalid invalid invalid done");
    CHECK(sql_in(s, "SELECT string_agg(device_id, ' ' ORDER BY device_id) FROM devices") == "a b");
    const auto reader = std::move(*store->open_reader());
    CHECK(reader->find_device(std::string("a\0b", 3)).err().kind == error_kind::invalid);
    CHECK(reader->list_devices({.device_type = "\xff"}).err().kind == error_kind::invalid);
}

TEST_CASE("every text that PostgreSQL keeps is sent as it is") {
    const auto store = opened(fresh_settings());
    device d = device_of("quotes");
    d.name = "\"{a,b}\\ 'x' NULL \xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\n\t\x01";
    d.tags = "";
    d.hw_rev = "NULL";
    REQUIRE(words_of(*store, {record_report{d, {}, {}, {}}}) == "done");
    const auto found = (*store->open_reader())->find_device("quotes");
    REQUIRE(*found);
    CHECK((*found)->name == d.name);
    CHECK((*found)->tags == "");
    CHECK((*found)->hw_rev == "NULL");
    CHECK_FALSE((*found)->ip);
}

TEST_CASE("an event key that another gateway writes at the same moment is a duplicate") {
    const auto s = fresh_settings();
    const auto store = opened(s);
    const device d = device_of("press-7");
    REQUIRE(words_of(*store, {record_report{d, {}, {}, {}}}) == "done");
    other_session rival(s,
                        "INSERT INTO update_results (id, device_id, event_key) SELECT gen_random_uuid(), id, 'k' FROM "
                        "devices");
    std::string words;
    std::thread writer([&] {
        words = words_of(*store, {record_report{{}, {}, result_of(d, "k"), {}}, registration("neighbour")});
    });
    eventually(
        [] { return postgres_server::shared().sql("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted") == "t"; });
    rival.commit();
    writer.join();
    CHECK(words == "duplicate done");
}

TEST_CASE("a batch that a deadlock ended is applied when the other one is through") {
    const auto s = fresh_settings();
    const auto store = opened(s);
    REQUIRE(words_of(*store, {registration("a"), registration("b")}) == "done done");
    // Patient for longer than we are: it is the store's transaction that the server ends.
    other_session rival(s, "SET deadlock_timeout = '10min'; UPDATE devices SET ip = 'rival' WHERE device_id = 'b'");
    std::string words;
    std::thread writer([&] {
        words = words_of(*store, {patch_device{"a", "n", {}, {}}, patch_device{"b", "n", {}, {}}});
    });
    eventually(
        [] { return postgres_server::shared().sql("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted") == "t"; });
    rival.run("UPDATE devices SET ip = 'rival' WHERE device_id = 'a'");
    rival.commit();
    writer.join();
    CHECK(words == "done done");
    CHECK(sql_in(s, "SELECT string_agg(name || ip, ' ') FROM devices") == "nrival nrival");
}

TEST_CASE("what libpq and the server say becomes a kind and an advice") {
    using postgres::connect_error_of;
    using postgres::error_of;
    const error down = connect_error_of("connection to server at \"10.0.0.9\", port 5432 failed: Connection refused\n"
                                        "\tIs the server running on that host?\n",
                                        "db");
    CHECK(down.kind == error_kind::unavailable);
    CHECK(down.text == "db: connection to server at \"10.0.0.9\", port 5432 failed: Connection refused; Is the server "
                       "running on that host?");
    CHECK(says(connect_error_of("FATAL:  53300: sorry, too many clients already\nLOCATION:  x", "db"),
               "max_connections"));
    CHECK(error_of("53100", "could not extend file", "db").kind == error_kind::unavailable);
    CHECK(says(error_of("53100", "could not extend file", "db"), "disk is full"));
    CHECK(error_of("23505", "", "db").kind == error_kind::conflict);
    CHECK(error_of("23503", "", "db").kind == error_kind::invalid);
    CHECK(error_of("42P01", "", "db").kind == error_kind::schema);
    CHECK(error_of("XX001", "", "db").kind == error_kind::corrupt);
    CHECK(error_of("99999", "", "db").kind == error_kind::unavailable);
}

TEST_CASE("a URL is refused for what it lacks or gives away, without repeating it") {
    using postgres::fault_of_url;
    CHECK(fault_of_url("postgresql://u@h:5432/db?sslmode=verify-full") == "");
    CHECK(fault_of_url("postgresql:///db?host=/run/postgresql") == "");
    for (const char* url :
         {"postgresql://u:s3cret@h/db", "postgresql://h/db?password=s3cret", "mysql://u:s3cret@h/db",
          "postgresql://u:s3cret%@h/db", "postgresql://u@h/db?s3cret", "host=h password=s3cret", ""}) {
        CAPTURE(url);
        CHECK(fault_of_url(url) != "");
        CHECK(fault_of_url(url).find("s3cret") == std::string::npos);
    }
}

TEST_CASE("the server's times are read to the millisecond, odd ones are not") {
    using postgres::parse_server_time;
    CHECK(parse_server_time("2026-11-22 10:15:30.123+00") == parse_timestamp("2026-11-22T10:15:30.123Z"));
    CHECK(parse_server_time("2026-11-22 10:15:30+00") == parse_timestamp("2026-11-22T10:15:30.000Z"));
    CHECK(parse_server_time("2026-11-22 10:15:30.1+00") == parse_timestamp("2026-11-22T10:15:30.100Z"));
    CHECK(parse_server_time("2026-11-22 10:15:30.123456+00") == parse_timestamp("2026-11-22T10:15:30.123Z"));
    for (const char* odd : {"infinity", "-infinity", "", "+00", "2026-11-22 10:15:30+02", "0044-03-15 10:15:30+00 BC",
                            "12026-11-22 10:15:30+00"}) {
        CAPTURE(odd);
        CHECK_FALSE(parse_server_time(odd));
    }
}

TEST_CASE("UTF-8 as PostgreSQL has it") {
    using postgres::storable;
    for (const char* good : {"", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                             "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
        CHECK(storable(good));
    for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "\xc3g", "a\xff"})
        CHECK_FALSE(storable(bad));
    CHECK_FALSE(storable(std::string_view("\0", 1)));
}
