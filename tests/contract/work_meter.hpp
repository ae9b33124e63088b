// How much a database does for a query, by its own counters: no plan is parsed, and what is counted is the statement
// that the store really sends. SQLite counts the steps of each statement's program; PostgreSQL scans and rows of each
// table.
#pragma once

#include <poll.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>

#include "fleet_data.hpp"

namespace fb::test {

struct work_done {
    std::int64_t steps = 0;      // SQLite: of programs; PostgreSQL: rows read from tables
    std::string sequential_in{}; // PostgreSQL: large tables that were read from end to end
    std::string dearest{};       // SQLite: the statement that took the most steps
};

/// Counts what connections do that are opened while it lives; one at a time, in one thread.
class sqlite_meter {
  public:
    explicit sqlite_meter(const sqlite_engine&) {
        done_ = {};
        dearest_ = 0;
        sqlite3_auto_extension(reinterpret_cast<void (*)()>(&watch));
    }
    ~sqlite_meter() { sqlite3_cancel_auto_extension(reinterpret_cast<void (*)()>(&watch)); }
    work_done stop() const { return done_; }

  private:
    static int watch(sqlite3* db, const char**, const sqlite3_api_routines*) {
        return sqlite3_trace_v2(db, SQLITE_TRACE_PROFILE, &ended, nullptr);
    }
    static int ended(unsigned, void*, void* statement, void*) {
        auto* s = static_cast<sqlite3_stmt*>(statement);
        if (std::string_view(sqlite3_sql(s)).starts_with("PRAGMA")) return 0; // the check of the whole file, at opening
        const int steps = sqlite3_stmt_status(s, SQLITE_STMTSTATUS_VM_STEP, 1);
        if (steps > dearest_) done_.dearest = sqlite3_sql(s);
        dearest_ = std::max(dearest_, steps);
        done_.steps += steps;
        return 0;
    }
    static inline work_done done_;
    static inline int dearest_ = 0;
};

/// Counts what connections do that are opened after its making and closed before stop(): they tell when they end. What
/// a connection that stays has done, it may tell at any time; so of the `kept` ones none may have read whole tables.
class postgres_meter {
  public:
    postgres_meter(const postgres_engine& engine, int kept)
        : engine_(engine)
        , kept_(kept)
        , before_(read()) {}

    work_done stop() const {
        work_done out;
        std::istringstream was(before_), is(read());
        for (std::string old, now; std::getline(was, old) && std::getline(is, now);) {
            const auto [table, scans_before, rows_before] = parts(old);
            const auto [same, scans, rows] = parts(now);
            out.steps += rows - rows_before;
            if (scans > scans_before && table != "firmwares") out.sequential_in += " " + table;
        }
        return out;
    }

  private:
    static constexpr const char* ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'fotabroker'";

    static std::tuple<std::string, std::int64_t, std::int64_t> parts(const std::string& line) {
        const auto first = line.find('|'), second = line.find('|', first + 1);
        return {line.substr(0, first), std::stoll(line.substr(first + 1)), std::stoll(line.substr(second + 1))};
    }
    std::string read() const {
        const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(2);
        while (std::stoi(sql_in(engine_, ours)) != kept_) {
            REQUIRE(std::chrono::steady_clock::now() < end);
            ::poll(nullptr, 0, 5);
        }
        return sql_in(engine_, "SELECT relname, seq_scan, seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE "
                               "schemaname = '" +
                                   engine_.schema +
                                   "' AND relname IN ('devices', 'firmwares', 'updates', 'update_results', "
                                   "'update_events') ORDER BY 1");
    }

    const postgres_engine& engine_;
    int kept_;
    std::string before_;
};

/// `kept`: connections that are open and stay so.
inline sqlite_meter meter_of(const sqlite_engine& engine, int) { return sqlite_meter(engine); }
inline postgres_meter meter_of(const postgres_engine& engine, int kept) { return postgres_meter(engine, kept); }

} // namespace fb::test
