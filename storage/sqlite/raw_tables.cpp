#include "storage/sqlite/raw_tables.hpp"

#include "storage/sqlite/migrate.hpp"
#include "storage/sqlite/rows.hpp"

namespace fb::storage::sqlite {

namespace {

class sqlite_raw_tables final : public raw_tables {
  public:
    explicit sqlite_raw_tables(std::unique_ptr<connection> db)
        : db_(std::move(db)) {}

    result<database_state> state() override {
        database_state out;
        out.place = db_->file().string();
        out.engine = std::string("SQLite ") + sqlite3_libversion();
        out.known = fota_migrations().back().version;
        const auto version = version_of(*db_);
        if (!version) return version.err();
        out.version = *version;
        const auto pages = number("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()");
        if (!pages) return pages.err();
        out.size_bytes = *pages;
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
        query integrity(*db_, "PRAGMA integrity_check");
        while (integrity.next()) {
            if (const auto words = integrity.view(0); words != "ok") out.emplace_back(words);
        }
        if (auto ended = integrity.ended(); !ended) return ended.err();
        const auto orphans = number("SELECT count(*) FROM pragma_foreign_key_check");
        if (!orphans) return orphans.err();
        if (*orphans > 0) out.push_back(std::to_string(*orphans) + " rows refer to rows that do not exist");
        for (const consistency_rule& rule : consistency_rules()) {
            const auto count = number(rule.sql);
            if (!count) return count.err();
            if (*count > 0) out.push_back(std::to_string(*count) + " " + rule.words);
        }
        return out;
    }

    status begin(bool writing) override {
        if (!writing) return db_->exec("BEGIN");
        return db_->exec("PRAGMA foreign_keys = ON; BEGIN IMMEDIATE");
    }
    status commit() override { return db_->exec("COMMIT"); }

    result<std::vector<raw_row>> read(const table& t, const raw_row& after, int limit) override {
        const std::string key = key_of(t);
        const std::string behind = t.key_columns == 1 ? " > ?" : " > (?, ?)";
        query q(*db_, "SELECT " + t.columns + " FROM " + t.name +
                          (after.empty() ? "" : " WHERE (" + key + ")" + behind) + " ORDER BY " + key + " LIMIT ?");
        if (!after.empty()) {
            for (int i = 0; i < t.key_columns; ++i) q.with(after[static_cast<std::size_t>(i)]);
        }
        q.with(limit);
        std::vector<raw_row> out;
        while (q.next()) {
            raw_row& row = out.emplace_back(t.types.size());
            for (std::size_t i = 0; i < row.size(); ++i) {
                q >> row[i];
                if (row[i] && t.types[i] == column_type::boolean) row[i] = *row[i] == "0" ? "false" : "true";
            }
        }
        if (auto ended = q.ended(); !ended) return ended.err();
        return out;
    }

    // Numbers go in as texts: the columns' affinity makes numbers of them.
    status write(const table& t, std::span<const raw_row> rows) override {
        const std::string sql = insert_sql(t.name, t.columns);
        for (const raw_row& row : rows) {
            query q(*db_, sql);
            for (std::size_t i = 0; i < row.size(); ++i) {
                if (row[i] && t.types[i] == column_type::boolean)
                    q.with(*row[i] == "true");
                else
                    q.with(row[i]);
            }
            if (auto ran = q.run(); !ran) return ran;
        }
        return done{};
    }

  private:
    result<std::int64_t> number(const std::string& sql) {
        query q(*db_, sql);
        std::int64_t out = 0;
        if (q.next()) q >> out;
        if (auto ended = q.ended(); !ended) return ended.err();
        return out;
    }

    std::unique_ptr<connection> db_;
};

} // namespace

result<std::unique_ptr<raw_tables>> open_raw_tables(const std::filesystem::path& file) {
    std::error_code none;
    if (!std::filesystem::exists(file, none))
        return error{error_kind::not_found, file.string() + " does not exist: no broker has run here yet"};
    auto db = connection::open(file, {});
    if (!db) return db.err();
    return std::unique_ptr<raw_tables>(std::make_unique<sqlite_raw_tables>(std::move(*db)));
}

} // namespace fb::storage::sqlite
