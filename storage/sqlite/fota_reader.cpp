#include "storage/sqlite/fota_reader.hpp"

#include "storage/cursor.hpp"
#include "storage/sqlite/rows.hpp"

namespace fb::storage::sqlite {

namespace {

constexpr std::chrono::seconds query_time_max{5};

const std::string device_select = "SELECT " + qualified('d', device_columns) + " FROM devices d";
const std::string firmware_select = "SELECT " + qualified('f', firmware_columns) + " FROM firmwares f";
const std::string update_select = "SELECT " + qualified('u', update_identity_columns) + ", " +
                                  qualified('u', update_changing_columns) +
                                  ", d.device_id, f.version FROM updates u LEFT JOIN devices d ON d.id = u.device_id "
                                  "LEFT JOIN firmwares f ON f.id = u.firmware_id";
const std::string result_select = "SELECT " + qualified('r', result_columns) +
                                  ", d.device_id FROM update_results r "
                                  "JOIN devices d ON d.id = r.device_id";
// As the partial index updates_one_open has it, so that SQLite sees it may be used.
const std::string update_is_open = "u.state IN ('scheduled', 'pending', 'offered', 'accepted', 'downloading', "
                                   "'downloaded', 'installing', 'verifying')";
const std::string of_device = " = (SELECT id FROM devices WHERE device_id = ?)";

void read(query& q, device& out) { read_row(q, out); }
void read(query& q, firmware& out) { read_row(q, out); }
void read(query& q, update_event& out) { read_row(q, out); }
void read(query& q, api_token& out) { read_row(q, out); }
void read(query& q, idempotency_record& out) { read_row(q, out); }
void read(query& q, std::string& out) { q >> out; }
void read(query& q, update_view& out) {
    read_row(q, out.row);
    q >> out.device_id >> out.firmware_version;
}
void read(query& q, result_view& out) {
    read_row(q, out.row);
    q >> out.device_id;
}

/// A SELECT that grows by conditions, and the texts for its parameters.
class list_sql {
  public:
    list_sql(const std::string& select, std::string_view always)
        : sql_(select) {
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
    template <class Row>
    result<std::vector<Row>> run(connection& db, std::string_view order, int limit) {
        sql_.append(" ORDER BY ").append(order).append(" LIMIT ?");
        query q(db, sql_);
        for (const std::string& text : parameters_) q.with(text);
        q.with(limit);
        std::vector<Row> rows;
        while (q.next()) read(q, rows.emplace_back());
        if (auto ended = q.ended(); !ended) return ended.err();
        return rows;
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

class sqlite_fota_reader final : public fota_reader {
  public:
    explicit sqlite_fota_reader(std::unique_ptr<connection> db)
        : db_(std::move(db)) {}

    result<std::optional<device>> find_device(const std::string& device_id) override {
        return one<device>(device_select + " WHERE d.device_id = ?", device_id);
    }
    result<std::optional<device>> find_device(const device_uuid& id) override {
        return one<device>(device_select + " WHERE d.id = ?", id);
    }
    result<std::optional<firmware>> find_firmware(const firmware_uuid& id) override {
        return one<firmware>(firmware_select + " WHERE f.id = ?", id);
    }
    result<std::optional<firmware>> find_firmware(const std::string& device_type, const std::string& version) override {
        return one<firmware>(firmware_select + " WHERE f.device_type = ? AND f.version = ? AND f.state IS NOT NULL",
                             device_type, version);
    }
    result<std::optional<update_view>> find_update(const update_uuid& id) override {
        return one<update_view>(update_select + " WHERE u.id = ?", id);
    }
    result<std::optional<update_view>> find_open_update(const std::string& device_id) override {
        return one<update_view>(update_select + " WHERE u.device_id" + of_device + " AND " + update_is_open, device_id);
    }
    result<std::optional<update_view>> find_latest_update(const std::string& device_id) override {
        return one<update_view>(update_select + " WHERE u.device_id" + of_device +
                                    " AND u.state IS NOT NULL ORDER BY u.id DESC LIMIT 1",
                                device_id);
    }
    result<std::vector<update_view>> open_updates() override {
        return all<update_view>(update_select + " WHERE " + update_is_open + " ORDER BY u.id");
    }

    result<page<device>> list_devices(const list_query& q) override {
        const auto key = check_page(q, device_list, 1);
        if (!key) return key.err();
        auto rows = list_sql(device_select, "1")
                        .after(*key, "d.device_id > ?")
                        .when(q.device_id, "d.device_id = ?")
                        .when(q.device_type, "d.type = ?")
                        .run<device>(*db_, "d.device_id", q.limit + 1);
        if (!rows) return rows.err();
        return make_page(std::move(*rows), q.limit, device_list,
                         [](const device& last) { return std::vector{last.device_id}; });
    }

    result<page<firmware>> list_firmwares(const list_query& q) override {
        const auto key = check_page(q, firmware_list, 1);
        if (!key) return key.err();
        auto rows = list_sql(firmware_select, "f.state IS NOT NULL")
                        .after(*key, "f.id < ?")
                        .when(q.device_type, "f.device_type = ?")
                        .when(q.state, "f.state = ?")
                        .when(q.firmware_id, "f.id = ?")
                        .run<firmware>(*db_, "f.id DESC", q.limit + 1);
        if (!rows) return rows.err();
        return make_page(std::move(*rows), q.limit, firmware_list,
                         [](const firmware& last) { return std::vector{to_string(last.id)}; });
    }

    result<page<update_view>> list_updates(const list_query& q) override {
        const auto key = check_page(q, update_list, 1);
        if (!key) return key.err();
        auto rows = list_sql(update_select, "u.state IS NOT NULL")
                        .after(*key, "u.id < ?")
                        .when(q.device_id, "u.device_id" + of_device)
                        .when(q.device_type, "f.device_type = ?")
                        .when(q.state, "u.state = ?")
                        .when(q.firmware_id, "u.firmware_id = ?")
                        .run<update_view>(*db_, "u.id DESC", q.limit + 1);
        if (!rows) return rows.err();
        return make_page(std::move(*rows), q.limit, update_list,
                         [](const update_view& last) { return std::vector{to_string(last.row.id)}; });
    }

    result<page<result_view>> list_results(const list_query& q) override {
        const auto key = check_page(q, result_list, 2);
        if (!key) return key.err();
        auto rows = list_sql(result_select, "r.event_key IS NOT NULL")
                        .after(*key, "(r.timestamp, r.id) < (?, ?)")
                        .when(q.device_id, "r.device_id" + of_device)
                        .when(q.device_type, "d.type = ?")
                        .when(q.status, "r.status = ?")
                        .when(q.firmware_id, "r.update_id IN (SELECT id FROM updates WHERE firmware_id = ?)")
                        .run<result_view>(*db_, "r.timestamp DESC, r.id DESC", q.limit + 1);
        if (!rows) return rows.err();
        return make_page(std::move(*rows), q.limit, result_list, [](const result_view& last) {
            return std::vector{format_timestamp(last.row.received_at), to_string(last.row.id)};
        });
    }

    result<std::vector<update_event>> events_of(const update_uuid& id) override {
        static const std::string sql =
            "SELECT " + std::string(event_columns) + " FROM update_events WHERE update_id = ? ORDER BY id";
        return all<update_event>(sql, id);
    }
    result<std::vector<std::string>> devices_of_type(const std::string& device_type) override {
        return all<std::string>("SELECT device_id FROM devices WHERE type = ? ORDER BY device_id", device_type);
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
    template <class Row, class... Values>
    result<std::vector<Row>> all(std::string_view sql, const Values&... values) {
        query q(*db_, sql);
        q.with(values...);
        std::vector<Row> rows;
        while (q.next()) read(q, rows.emplace_back());
        if (auto ended = q.ended(); !ended) return ended.err();
        return rows;
    }

    template <class Row, class... Values>
    result<std::optional<Row>> one(std::string_view sql, const Values&... values) {
        query q(*db_, sql);
        q.with(values...);
        std::optional<Row> row;
        if (q.next()) read(q, row.emplace());
        if (auto ended = q.ended(); !ended) return ended.err();
        return row;
    }

    std::unique_ptr<connection> db_;
};

} // namespace

result<std::unique_ptr<fota_reader>> open_fota_reader(const std::filesystem::path& file) {
    auto db = connection::open(file, {.time_limit = query_time_max, .query_only = true});
    if (!db) return db.err();
    return std::unique_ptr<fota_reader>(std::make_unique<sqlite_fota_reader>(std::move(*db)));
}

} // namespace fb::storage::sqlite
