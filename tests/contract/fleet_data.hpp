// A fleet of any size, made by the database itself: devices of ten types, fifty firmwares for each type, updates in all
// the states that updates end in and some that are open, two results and an event for each. The same in both engines.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engines.hpp"

namespace fb::test {

struct fleet_size {
    std::int64_t devices;
    std::int64_t updates; // of all devices together; twice as many results
};

/// How an engine makes ids and times out of numbers, as texts of SQL.
struct sqlite_words {
    static std::string id(int kind, const std::string& ms, const std::string& i) {
        return "printf('%08x-%04x-7000-800" + std::to_string(kind) + "-%012x', (" + ms + ") >> 16, (" + ms +
               ") & 65535, " + i + ")";
    }
    static std::string time(const std::string& ms) {
        return "strftime('%Y-%m-%dT%H:%M:%fZ', (" + ms + ") / 1000.0, 'unixepoch')";
    }
    static std::string series(std::int64_t n) {
        return "(WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i + 1 < " + std::to_string(n) +
               ") SELECT i FROM s)";
    }
};
struct postgres_words {
    static std::string id(int kind, const std::string& ms, const std::string& i) {
        return "(lpad(to_hex((" + ms + ") >> 16), 8, '0') || '-' || lpad(to_hex((" + ms +
               ") & 65535), 4, '0') || '-7000-800" + std::to_string(kind) + "-' || lpad(to_hex(" + i +
               "), 12, '0'))::uuid";
    }
    static std::string time(const std::string& ms) {
        return "(timestamptz 'epoch' + (" + ms + ") * interval '1 millisecond')";
    }
    static std::string series(std::int64_t n) {
        return "(SELECT i::bigint AS i FROM generate_series(0, " + std::to_string(n - 1) + ") i) s";
    }
};

template <class Words>
std::vector<std::string> fleet_sql(const fleet_size& size) {
    const std::string begin = "1767225600000", devices = std::to_string(size.devices);
    const auto id = [](int kind, const std::string& ms, const std::string& i) { return Words::id(kind, ms, i); };
    const auto at = [&](const std::string& ms) { return Words::time(begin + " + " + ms); };
    const auto device = [&](const std::string& i) { return id(1, begin, i); };
    const auto firmware = [&](const std::string& type, const std::string& n) {
        return id(2, begin + " + " + n, type + " * 1000 + " + n);
    };
    const auto update = [&](const std::string& i) { return id(3, begin + " + (" + i + ") * 1000", i); };
    const std::string newest = "i >= " + std::to_string(size.updates - size.devices);
    return {
        "INSERT INTO devices (id, device_id, type, firmware_version, online, last_seen, first_seen) SELECT " +
            device("i") + ", 'device-' || i, 'type-' || (i % 10), '1.' || (i % 7) || '.0', i % 3 = 0, " + at("i") +
            ", " + at("0") + " FROM " + Words::series(size.devices),
        "INSERT INTO firmwares (id, device_type, version, url, checksum, uploaded_at, size, filename, state) SELECT " +
            firmware("(i % 10)", "(i / 10)") + ", 'type-' || (i % 10), '1.' || (i / 10) || '.0', '/fw', 'sha256:00', " +
            at("0") + ", 1000, 'image.bin', 'approved' FROM " + Words::series(500),
        "INSERT INTO updates (id, device_id, firmware_id, state, attempt, created_at, state_at, deadline) SELECT " +
            update("i") + ", " + device("i % " + devices) + ", " + firmware("(i % 10)", "(i / " + devices + " % 50)") +
            ", CASE WHEN " + newest + " AND i % 10 = 0 THEN 'pending' WHEN " + newest +
            " AND i % 10 = 1 THEN 'downloading' WHEN i % 20 = 3 THEN 'failed' WHEN i % 100 = 4 THEN 'rejected' "
            "WHEN i % 100 = 24 THEN 'expired' WHEN i % 100 = 44 THEN 'superseded' ELSE 'succeeded' END, "
            "1 + i % 7 / 6, " +
            at("i * 1000") + ", " + at("i * 1000 + 60000 + i * 7919 % 100000") + ", " + at("i * 1000 + 2592000000") +
            " FROM " + Words::series(size.updates),
        "INSERT INTO update_results (id, device_id, firmware_version, status, timestamp, update_id, attempt, "
        "event_key) SELECT " +
            id(4, begin + " + i * 500", "i") + ", " + device("i / 2 % " + devices) +
            ", '1.0.0', CASE WHEN i % 20 = 3 THEN 'failed' ELSE 'success' END, " + at("i * 500") + ", " +
            update("i / 2") + ", 1, 'key-' || i FROM " + Words::series(2 * size.updates),
        "INSERT INTO update_events (id, update_id, at, from_state, to_state, attempt, cause) SELECT " +
            id(5, begin + " + i * 1000", "i") + ", " + update("i") + ", " + at("i * 1000") +
            ", 'pending', 'offered', 1, 'offer' FROM " + Words::series(size.updates),
    };
}

inline std::string sql_in(const sqlite_engine& engine, const std::string& text) {
    return raw_sql(engine.directory / "fota.db", text);
}
inline std::string sql_in(const postgres_engine& engine, const std::string& text) {
    return postgres_server::shared().sql("SET search_path = " + engine.schema + "; " + text);
}

/// The tables must be there. PostgreSQL gets the statistics that its autovacuum makes otherwise; SQLite has none, as in
/// a gateway.
inline void fill_fleet(const sqlite_engine& engine, const fleet_size& size) {
    for (const std::string& sql : fleet_sql<sqlite_words>(size)) REQUIRE(sql_in(engine, sql) == "");
}
inline void fill_fleet(const postgres_engine& engine, const fleet_size& size) {
    for (const std::string& sql : fleet_sql<postgres_words>(size)) REQUIRE(sql_in(engine, sql) == "");
    REQUIRE(sql_in(engine, "ANALYZE") == "");
}

} // namespace fb::test
