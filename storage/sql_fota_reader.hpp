// The queries of fota_reader over any SQL engine that has a `Query` (sqlite/query.hpp, postgres/query.hpp): made from a
// database and a text with "?" for each value; with(), next(), >> and ended(). One thread each.
//
// The SQL is what both engines understand. Bools and timestamps are only ever read, compared with what was stored, and
// sorted, so that their form is the engine's own affair.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/columns.hpp"
#include "storage/cursor.hpp"
#include "storage/fota_store.hpp"

namespace fb::storage {

namespace sql {

inline const std::string device_select = "SELECT " + qualified("d", device_columns) + " FROM devices d";
inline const std::string firmware_select = "SELECT " + qualified("f", firmware_columns) + " FROM firmwares f";
inline const std::string update_select =
    "SELECT " + qualified("u", update_identity_columns) + ", " + qualified("u", update_changing_columns) +
    ", d.device_id, f.version FROM updates u LEFT JOIN devices d ON d.id = u.device_id "
    "LEFT JOIN firmwares f ON f.id = u.firmware_id";
// CROSS JOIN makes SQLite begin with the results, newest first; it would sort all results of a type otherwise.
inline const std::string result_select =
    "SELECT " + qualified("r", result_columns) + ", d.device_id FROM update_results r CROSS JOIN devices d";
// The limit is no limit: it keeps PostgreSQL from looking for the results of an old firmware in the order of time.
inline const std::string result_of_firmware_select = "SELECT " + qualified("r", result_columns) +
                                                     ", d.device_id FROM (SELECT * FROM update_results WHERE update_id "
                                                     "IN (SELECT id FROM updates WHERE firmware_id = ?) "
                                                     "LIMIT 1000000000) r CROSS JOIN devices d";
// As the partial index updates_one_open has it, so that the database sees it may be used.
inline const std::string update_is_open = "u.state IN ('scheduled', 'pending', 'offered', 'accepted', 'downloading', "
                                          "'downloaded', 'installing', 'verifying')";
inline const std::string of_device = " = (SELECT id FROM devices WHERE device_id = ?)";

inline std::string from_view(std::string_view columns, const char* view) {
    return "SELECT " + std::string(columns) + " FROM " + view;
}

template <class Query, class Row>
void read_one(Query& q, Row& out) {
    if constexpr (std::is_same_v<Row, update_view>) {
        read_row(q, out.row);
        q >> out.device_id >> out.firmware_version;
    } else if constexpr (std::is_same_v<Row, result_view>) {
        read_row(q, out.row);
        q >> out.device_id;
    } else if constexpr (std::is_same_v<Row, std::string> || std::is_same_v<Row, timestamp>) {
        q >> out;
    } else if constexpr (requires { out.first; }) {
        q >> out.first >> out.second;
    } else {
        read_row(q, out);
    }
}

template <class Row, class Query>
result<std::vector<Row>> all_rows(Query& q) {
    std::vector<Row> rows;
    while (q.next()) read_one(q, rows.emplace_back());
    if (auto ended = q.ended(); !ended) return ended.err();
    return rows;
}

/// A SELECT that grows by conditions, and the texts for its parameters.
class list_sql {
  public:
    /// `first` are the values that the SELECT itself asks for.
    list_sql(const std::string& select, std::string_view always, std::vector<std::string> first = {})
        : sql_(select)
        , parameters_(std::move(first)) {
        sql_.append(" WHERE ").append(always);
    }
    list_sql& when(const std::optional<std::string>& filter, std::string_view condition) {
        if (filter) add(condition, {*filter});
        return *this;
    }
    list_sql& after(const std::vector<std::string>& key, std::string_view condition) {
        if (!key.empty()) add(condition, key);
        return *this;
    }
    template <class Row, class Query, class Database>
    result<std::vector<Row>> run(Database& db, std::string_view order, int limit) {
        sql_.append(" ORDER BY ").append(order).append(" LIMIT ?");
        Query q(db, sql_);
        for (const std::string& text : parameters_) q.with(text);
        q.with(limit);
        return all_rows<Row>(q);
    }

  private:
    void add(std::string_view condition, const std::vector<std::string>& parameters) {
        sql_.append(" AND ").append(condition);
        parameters_.insert(parameters_.end(), parameters.begin(), parameters.end());
    }
    std::string sql_;
    std::vector<std::string> parameters_;
};

/// `rows` holds one more than the page when there is a next one.
template <class Row, class Key>
page<Row> make_page(std::vector<Row> rows, int limit, char list, Key key_of) {
    page<Row> out;
    if (rows.size() > std::size_t(limit)) {
        rows.pop_back();
        out.next = make_cursor(list, key_of(rows.back()));
    }
    out.items = std::move(rows);
    return out;
}

} // namespace sql

template <class Database, class Query>
class sql_fota_reader final : public fota_reader {
  public:
    explicit sql_fota_reader(std::unique_ptr<Database> db)
        : db_(std::move(db)) {}

    result<std::optional<device>> find_device(const std::string& device_id) override {
        return one<device>(sql::device_select + " WHERE d.device_id = ?", device_id);
    }
    result<std::optional<device>> find_device(const device_uuid& id) override {
        return one<device>(sql::device_select + " WHERE d.id = ?", id);
    }
    result<std::optional<firmware>> find_firmware(const firmware_uuid& id) override {
        return one<firmware>(sql::firmware_select + " WHERE f.id = ?", id);
    }
    result<std::optional<firmware>> find_firmware(const std::string& device_type, const std::string& version) override {
        return one<firmware>(sql::firmware_select +
                                 " WHERE f.device_type = ? AND f.version = ? AND f.state IS NOT NULL",
                             device_type, version);
    }
    result<std::optional<update_view>> find_update(const update_uuid& id) override {
        return one<update_view>(sql::update_select + " WHERE u.id = ?", id);
    }
    result<std::optional<update_view>> find_open_update(const std::string& device_id) override {
        return one<update_view>(
            sql::update_select + " WHERE u.device_id" + sql::of_device + " AND " + sql::update_is_open, device_id);
    }
    result<std::optional<update_view>> find_latest_update(const std::string& device_id) override {
        return one<update_view>(sql::update_select + " WHERE u.device_id" + sql::of_device +
                                    " AND u.state IS NOT NULL ORDER BY u.id DESC LIMIT 1",
                                device_id);
    }
    result<std::vector<update_view>> open_updates(const std::optional<gateway_uuid>& of) override {
        const std::string open = sql::update_select + " WHERE " + sql::update_is_open;
        if (!of) return all<update_view>(open + " ORDER BY u.id");
        return all<update_view>(open + " AND d.gateway_id = ? ORDER BY u.id", *of);
    }

    result<page<device>> list_devices(const list_query& q) override {
        const auto key = check_page(q, device_list, 1);
        if (!key) return key.err();
        auto rows = sql::list_sql(sql::device_select, "true")
                        .after(*key, "d.device_id > ?")
                        .when(q.device_id, "d.device_id = ?")
                        .when(q.device_type, "d.type = ?")
                        .template run<device, Query>(*db_, "d.device_id", q.limit + 1);
        if (!rows) return rows.err();
        return sql::make_page(std::move(*rows), q.limit, device_list,
                              [](const device& last) { return std::vector{last.device_id}; });
    }

    result<page<firmware>> list_firmwares(const list_query& q) override {
        const auto key = check_page(q, firmware_list, 1);
        if (!key) return key.err();
        if (names_no_firmware(q)) return page<firmware>{};
        auto rows = sql::list_sql(sql::firmware_select, "f.state IS NOT NULL")
                        .after(*key, "f.id < ?")
                        .when(q.device_type, "f.device_type = ?")
                        .when(q.state, "f.state = ?")
                        .when(q.firmware_id, "f.id = ?")
                        .template run<firmware, Query>(*db_, "f.id DESC", q.limit + 1);
        if (!rows) return rows.err();
        return sql::make_page(std::move(*rows), q.limit, firmware_list,
                              [](const firmware& last) { return std::vector{to_string(last.id)}; });
    }

    result<page<update_view>> list_updates(const list_query& q) override {
        const auto key = check_page(q, update_list, 1);
        if (!key) return key.err();
        if (names_no_firmware(q)) return page<update_view>{};
        if (q.device_type) { // without this a type that there is not costs a look at all updates
            const auto known = one<std::string>("SELECT version FROM firmwares WHERE device_type = ?", *q.device_type);
            if (!known) return known.err();
            if (!*known) return page<update_view>{};
        }
        auto rows = sql::list_sql(sql::update_select, "u.state IS NOT NULL")
                        .after(*key, "u.id < ?")
                        .when(q.device_id, "u.device_id" + sql::of_device)
                        .when(q.device_type, "f.device_type = ?")
                        .when(q.state, "u.state = ?")
                        .when(q.firmware_id, "u.firmware_id = ?")
                        .template run<update_view, Query>(*db_, "u.id DESC", q.limit + 1);
        if (!rows) return rows.err();
        return sql::make_page(std::move(*rows), q.limit, update_list,
                              [](const update_view& last) { return std::vector{to_string(last.row.id)}; });
    }

    result<page<result_view>> list_results(const list_query& q) override {
        constexpr std::string_view not_others = "d.id = r.device_id AND r.event_key IS NOT NULL";
        const auto key = check_page(q, result_list, 2);
        if (!key) return key.err();
        if (names_no_firmware(q)) return page<result_view>{};
        if (q.device_type) {
            const auto known = one<std::string>("SELECT device_id FROM devices WHERE type = ?", *q.device_type);
            if (!known) return known.err();
            if (!*known) return page<result_view>{};
        }
        auto selected = q.firmware_id ? sql::list_sql(sql::result_of_firmware_select, not_others, {*q.firmware_id})
                                      : sql::list_sql(sql::result_select, not_others);
        auto rows = selected.after(*key, "(r.timestamp, r.id) < (?, ?)")
                        .when(q.device_id, "r.device_id" + sql::of_device)
                        .when(q.device_type, "d.type = ?")
                        .when(q.status, "r.status = ?")
                        .template run<result_view, Query>(*db_, "r.timestamp DESC, r.id DESC", q.limit + 1);
        if (!rows) return rows.err();
        return sql::make_page(std::move(*rows), q.limit, result_list, [](const result_view& last) {
            return std::vector{format_timestamp(last.row.received_at), to_string(last.row.id)};
        });
    }

    result<std::vector<update_event>> events_of(const update_uuid& id) override {
        static const std::string text =
            "SELECT " + std::string(event_columns) + " FROM update_events WHERE update_id = ? ORDER BY id";
        return all<update_event>(text, id);
    }
    result<std::vector<std::string>> devices_of_type(const std::string& device_type) override {
        return all<std::string>("SELECT device_id FROM devices WHERE type = ? ORDER BY device_id", device_type);
    }

    result<page<fleet_version>> report_fleet(const list_query& q) override {
        const auto key = check_page(q, fleet_list, 2);
        if (!key) return key.err();
        auto rows = sql::list_sql(sql::from_view(fleet_columns, "fleet_versions"), "true")
                        .after(*key, "(coalesce(device_type, ''), coalesce(firmware_version, '')) > (?, ?)")
                        .when(q.device_type, "device_type = ?")
                        .template run<fleet_version, Query>(
                            *db_, "coalesce(device_type, ''), coalesce(firmware_version, '')", q.limit + 1);
        if (!rows) return rows.err();
        return sql::make_page(std::move(*rows), q.limit, fleet_list, [](const fleet_version& last) {
            return std::vector{last.device_type.value_or(""), last.firmware_version.value_or("")};
        });
    }

    result<page<firmware_success>> report_firmwares(const list_query& q) override {
        auto rows = by_firmware<firmware_success>(q, success_columns, "firmware_success");
        if (!rows || rows->items.empty()) return rows;
        auto failures = all<firmware_failure>(sql::from_view(failure_columns, "firmware_failures") +
                                                  " WHERE firmware_id BETWEEN ? AND ? ORDER BY firmware_id DESC, "
                                                  "updates DESC, state, error_code",
                                              rows->items.back().firmware_id, rows->items.front().firmware_id);
        if (!failures) return failures.err();
        attach(rows->items, std::move(*failures));
        return rows;
    }
    result<page<update_durations>> report_durations(const list_query& q) override {
        return by_firmware<update_durations>(q, duration_columns, "update_durations");
    }

    result<page<stuck_device>> report_stuck_devices(const list_query& q) override {
        const auto key = check_page(q, stuck_list, 1);
        if (!key) return key.err();
        if (names_no_firmware(q)) return page<stuck_device>{};
        auto rows = sql::list_sql(sql::from_view(stuck_columns, "stuck_devices"), "true")
                        .after(*key, "device_id > ?")
                        .when(q.device_type, "device_type = ?")
                        .when(q.firmware_id, "firmware_id = ?")
                        .template run<stuck_device, Query>(*db_, "device_id", q.limit + 1);
        if (!rows) return rows.err();
        return sql::make_page(std::move(*rows), q.limit, stuck_list,
                              [](const stuck_device& last) { return std::vector{last.device_id}; });
    }

    result<prunable_rows<result_uuid>> prunable_results(const prunable_query<result_uuid>& q) override {
        static const std::string text =
            "SELECT r.timestamp, r.id FROM update_results r WHERE r.timestamp < ? AND (r.timestamp, r.id) > (?, ?) "
            "AND r.event_key IS NOT NULL "
            "AND EXISTS (SELECT 1 FROM update_results n WHERE n.device_id = r.device_id AND n.event_key IS NOT NULL "
            "AND (n.timestamp, n.id) > (r.timestamp, r.id)) "
            "AND NOT EXISTS (SELECT 1 FROM updates u WHERE u.id = r.update_id AND " +
            sql::update_is_open + ") ORDER BY r.timestamp, r.id LIMIT ?";
        const auto [time, id] = q.after.value_or(std::pair(oldest, result_uuid{}));
        return all<std::pair<timestamp, result_uuid>>(text, q.older_than, time, id, q.limit);
    }
    // Ids are made in time order, and the table has no index of times.
    result<prunable_rows<event_uuid>> prunable_events(const prunable_query<event_uuid>& q) override {
        static const std::string text = "SELECT e.at, e.id FROM update_events e WHERE e.id > ? AND e.at < ? "
                                        "AND NOT EXISTS (SELECT 1 FROM updates u WHERE u.id = e.update_id AND " +
                                        sql::update_is_open + ") ORDER BY e.id LIMIT ?";
        return all<std::pair<timestamp, event_uuid>>(text, q.after ? q.after->second : event_uuid{}, q.older_than,
                                                     q.limit);
    }
    result<std::optional<timestamp>> time_of_result(std::int64_t newer_ones) override {
        return one<timestamp>("SELECT timestamp FROM update_results WHERE timestamp IS NOT NULL "
                              "ORDER BY timestamp DESC, id DESC LIMIT 1 OFFSET ?",
                              newer_ones);
    }
    result<std::optional<timestamp>> time_of_event(std::int64_t newer_ones) override {
        return one<timestamp>("SELECT at FROM update_events ORDER BY id DESC LIMIT 1 OFFSET ?", newer_ones);
    }
    result<std::vector<audit_row>> audit_rows(std::int64_t after_seq, int limit) override {
        static const std::string text =
            "SELECT " + std::string(audit_columns) + " FROM audit_log WHERE seq > ? ORDER BY seq LIMIT ?";
        return all<audit_row>(text, after_seq, limit);
    }
    result<std::optional<audit_row>> newest_audit_row() override {
        return one<audit_row>("SELECT " + std::string(audit_columns) + " FROM audit_log ORDER BY seq DESC LIMIT 1");
    }
    result<std::vector<std::string>> needed_checksums() override {
        return all<std::string>("SELECT DISTINCT checksum FROM firmwares WHERE checksum IS NOT NULL "
                                "AND (state IS NULL OR url IS NOT NULL)");
    }

    result<std::optional<api_token>> find_token(const std::string& hash) override {
        return one<api_token>("SELECT " + std::string(token_columns) + " FROM api_tokens WHERE hash = ?", hash);
    }
    result<std::vector<api_token>> list_tokens() override {
        return all<api_token>("SELECT " + std::string(token_columns) + " FROM api_tokens ORDER BY id");
    }
    result<std::optional<idempotency_record>> find_idempotency(const std::string& key) override {
        return one<idempotency_record>(
            "SELECT " + std::string(idempotency_columns) + " FROM idempotency_keys WHERE key = ?", key);
    }

  private:
    static constexpr timestamp oldest{}; // nothing of ours is from before 1970

    /// A filter that is no UUID finds nothing; PostgreSQL would take it for an error.
    static bool names_no_firmware(const list_query& q) { return q.firmware_id && !parse_uuid(*q.firmware_id); }

    /// What a view has of a page of firmwares. The page comes first: then no more than its firmwares' updates are read.
    template <class Row>
    result<page<Row>> by_firmware(const list_query& q, std::string_view columns, const char* view) {
        auto firmwares = list_firmwares(q);
        if (!firmwares) return firmwares.err();
        page<Row> out;
        if (firmwares->items.empty()) return out;
        auto rows = sql::list_sql(sql::from_view(columns, view), "true")
                        .when(to_string(firmwares->items.front().id), "firmware_id <= ?")
                        .when(to_string(firmwares->items.back().id), "firmware_id >= ?")
                        .when(q.device_type, "device_type = ?")
                        .template run<Row, Query>(*db_, "firmware_id DESC", q.limit);
        if (!rows) return rows.err();
        out.items = std::move(*rows);
        out.next = std::move(firmwares->next);
        return out;
    }

    template <class Row, class... Values>
    result<std::vector<Row>> all(std::string_view text, const Values&... values) {
        Query q(*db_, text);
        q.with(values...);
        return sql::all_rows<Row>(q);
    }

    template <class Row, class... Values>
    result<std::optional<Row>> one(std::string_view text, const Values&... values) {
        Query q(*db_, text);
        q.with(values...);
        std::optional<Row> row;
        if (q.next()) sql::read_one(q, row.emplace());
        if (auto ended = q.ended(); !ended) return ended.err();
        return row;
    }

    std::unique_ptr<Database> db_;
};

} // namespace fb::storage
