// What most cases here need: settings for a schema of the case's own, operations to apply, words for outcomes.
#pragma once

#include <string>

#include "storage/postgres/open.hpp"
#include "tests/support/postgres_server.hpp"

namespace fb::test {

using namespace storage;

inline constexpr timestamp test_time{std::chrono::hours(24 * 365 * 56)};

/// Generous where a test waits for something that must happen.
inline postgres::settings fresh_settings() {
    postgres::settings s;
    s.url = postgres_server::shared().url();
    s.schema = postgres_server::shared().fresh_schema();
    s.connect_timeout = std::chrono::minutes(1);
    s.statement_timeout = std::chrono::minutes(1);
    s.retry_max = std::chrono::milliseconds(100);
    s.doubt_max = std::chrono::minutes(2);
    return s;
}

inline std::unique_ptr<fota_store> opened(const postgres::settings& s) {
    auto store = postgres::open_fota_store(s);
    REQUIRE_MESSAGE(store, store.err().text);
    return std::move(*store);
}

/// psql in the schema of `s`, past every proxy.
inline std::string sql_in(const postgres::settings& s, const std::string& text) {
    return postgres_server::shared().sql("SET search_path = " + s.schema + "; " + text);
}

inline device device_of(const std::string& device_id) {
    device d;
    d.id = new_id<device_uuid>(test_time);
    d.device_id = device_id;
    return d;
}

inline update_result result_of(const device& d, const std::string& event_key) {
    update_result r;
    r.id = new_id<result_uuid>(test_time);
    r.device_id = d.id;
    r.received_at = test_time;
    r.event_key = event_key;
    return r;
}

inline fota_operation registration(const std::string& device_id) {
    return record_report{device_of(device_id), {}, {}, {}};
}

inline std::string word_of(const fota_outcome& outcome) {
    if (!outcome) return to_string(outcome.err().kind);
    return *outcome == applied::done ? "done" : "duplicate";
}

inline std::string words_of(fota_store& store, const std::vector<fota_operation>& operations) {
    std::string out;
    for (const auto& outcome : store.apply(operations)) out += (out.empty() ? "" : " ") + word_of(outcome);
    return out;
}

/// Calls `check` until it says true, for as long as a test may take.
template <class Check>
void eventually(Check check) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    while (!check()) {
        REQUIRE(std::chrono::steady_clock::now() < end);
        ::poll(nullptr, 0, 10);
    }
}

} // namespace fb::test
