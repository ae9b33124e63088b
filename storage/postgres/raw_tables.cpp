#include "storage/postgres/raw_tables.hpp"

#include <algorithm>

#include "storage/postgres/migrate.hpp"
#include "storage/postgres/row_set.hpp"

namespace fb::storage::postgres {

namespace {

constexpr std::chrono::hours patience{1}; // a large table is read or counted whole

// What the server may be set to that makes promises worthless, or the role lacks. Each gives a row per fault.
constexpr const char* server_faults[] = {
    "SELECT 'the server runs with ' || name || ' = off: a power cut may lose or damage the database' FROM pg_settings "
    "WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'",
    "SELECT 'the database''s encoding is ' || current_setting('server_encoding') || ', not UTF8' "
    "WHERE current_setting('server_encoding') <> 'UTF8'",
    "SELECT 'this server is read-only: a standby, or default_transaction_read_only is on' "
    "WHERE pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'",
    "SELECT 'index ' || i.relname || ' is not valid: REINDEX it' FROM pg_index x JOIN pg_class i ON i.oid = "
    "x.indexrelid JOIN pg_namespace n ON n.oid = i.relnamespace WHERE n.nspname = $1 AND NOT x.indisvalid",
    "SELECT 'the role may not ' || p || ' in ' || t.relname FROM pg_class t JOIN pg_namespace n ON n.oid = "
    "t.relnamespace CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p WHERE n.nspname = $1 AND "
    "t.relkind = 'r' AND NOT has_table_privilege(t.oid, p)",
};

class postgres_raw_tables final : public raw_tables {
  public:
    postgres_raw_tables(std::unique_ptr<connection> db, std::string schema)
        : db_(std::move(db))
        , schema_(std::move(schema)) {}

    result<database_state> state() override {
        database_state out;
        out.place = db_->name() + ", schema " + schema_;
        out.known = fota_migrations().back().version;
        const auto version = version_of(*db_, schema_);
        if (!version) return version.err();
        out.version = *version;
        const auto server = text("SELECT 'PostgreSQL ' || current_setting('server_version')");
        if (!server) return server.err();
        out.engine = *server;
        const auto size = number("SELECT coalesce(sum(pg_total_relation_size(t.oid)), 0) FROM pg_class t JOIN "
                                 "pg_namespace n ON n.oid = t.relnamespace WHERE t.relkind = 'r' AND n.nspname = $1",
                                 {schema_});
        if (!size) return size.err();
        out.size_bytes = *size;
        if (out.version != out.known) return out;
        for (const table& t : fota_tables()) {
            const auto count = number("SELECT count(*) FROM " + std::string(t.name));
            if (!count) return count.err();
            out.rows.emplace_back(t.name, *count);
        }
        return out;
    }

    result<std::vector<std::string>> faults() override {
        std::vector<std::string> out;
        for (const std::string sql : server_faults) {
            const bool about_schema = sql.find("$1") != sql.npos;
            command c{sql, {}, false};
            if (about_schema) c.values.emplace_back(schema_);
            const auto ran = run(std::move(c));
            if (!ran) return ran.err();
            for (int row = 0; row < ran->count(); ++row) out.emplace_back(ran->at(row, 0).value_or(""));
        }
        for (const consistency_rule& rule : consistency_rules()) {
            const auto count = number(rule.sql);
            if (!count) return count.err();
            if (*count > 0) out.push_back(std::to_string(*count) + " " + rule.words);
        }
        return out;
    }

    status begin(bool writing) override {
        return plain(writing ? "BEGIN" : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    }
    status commit() override { return plain("COMMIT"); }

    result<std::vector<raw_row>> read(const table& t, const raw_row& after, int limit) override {
        const std::string key = key_of(t);
        const std::string behind = t.key_columns == 1 ? " > $2" : " > ($2, $3)";
        command c{"SELECT " + t.columns + " FROM " + t.name + (after.empty() ? "" : " WHERE (" + key + ")" + behind) +
                      " ORDER BY " + key + " LIMIT $1::bigint",
                  {std::to_string(limit)}};
        if (!after.empty()) c.values.insert(c.values.end(), after.begin(), after.begin() + t.key_columns);
        const auto ran = run(std::move(c));
        if (!ran) return ran.err();
        std::vector<raw_row> out;
        for (int r = 0; r < ran->count(); ++r) {
            raw_row& row = out.emplace_back(t.types.size());
            for (std::size_t i = 0; i < row.size(); ++i) row[i] = told(ran->at(r, static_cast<int>(i)), t.types[i]);
        }
        return out;
    }

    status write(const table& t, std::span<const raw_row> rows) override {
        row_set set(t.types.size());
        for (const raw_row& row : rows) {
            if (!std::all_of(row.begin(), row.end(), [](const auto& text) { return !text || storable(*text); }))
                return not_storable();
            set.add_row(row);
        }
        std::vector<const char*> types;
        for (const column_type type : t.types) types.push_back(type_name(type));
        int last = 0;
        const std::string given = rows_cte("given", t.columns, types, last);
        command c{"WITH " + given + " INSERT INTO " + t.name + " (" + t.columns + ") SELECT " + t.columns +
                      " FROM given",
                  {}};
        set.move_to(c.values);
        const auto ran = run(std::move(c));
        if (!ran) return ran.err();
        return done{};
    }

  private:
    static std::optional<std::string> told(std::optional<std::string_view> text, column_type type) {
        if (!text) return std::nullopt;
        if (type == column_type::boolean) return *text == "t" ? "true" : "false";
        if (type == column_type::time) {
            if (const auto t = parse_server_time(*text)) return format_timestamp(*t);
        }
        return std::string(*text);
    }

    result<rows> run(command c) {
        auto ran = db_->run({&c, 1}, patience);
        if (ran.failed) return ran.failed->why;
        return std::move(ran.of.at(0));
    }
    status plain(const char* sql) {
        const auto ran = run({sql, {}, false});
        if (!ran) return ran.err();
        return done{};
    }
    result<std::string> text(const std::string& sql, std::vector<parameter> values = {}) {
        const auto ran = run({sql, std::move(values), false});
        if (!ran) return ran.err();
        return std::string(ran->at(0, 0).value_or(""));
    }
    result<std::int64_t> number(const std::string& sql, std::vector<parameter> values = {}) {
        const auto words = text(sql, std::move(values));
        if (!words) return words.err();
        return std::stoll(*words);
    }

    std::unique_ptr<connection> db_;
    std::string schema_;
};

} // namespace

result<std::unique_ptr<raw_tables>> open_raw_tables(const settings& s) {
    settings patient = s;
    patient.statement_timeout = patience;
    auto db = connection::open(patient, access::tools);
    if (!db) return db.err();
    return std::unique_ptr<raw_tables>(std::make_unique<postgres_raw_tables>(std::move(*db), s.schema));
}

} // namespace fb::storage::postgres
