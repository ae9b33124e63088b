#include "storage/sqlite/query.hpp"

namespace fb::storage::sqlite {

query::query(connection& db, std::string_view sql)
    : db_(db) {
    auto statement = db.prepared(sql);
    if (!statement) {
        error_ = statement.err();
        return;
    }
    statement_ = *statement;
    if (db.time_limit_.count() > 0) db.deadline_ = std::chrono::steady_clock::now() + db.time_limit_;
}

query::~query() {
    if (statement_ == nullptr) return;
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_); // lets go of blobs that are not ours
}

bool query::next() {
    if (error_) return false;
    column_ = 0;
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code != SQLITE_DONE) error_ = db_.last_error(code);
    return false;
}

status query::ended() const {
    if (error_) return *error_;
    return done{};
}

status query::run() {
    while (next()) {
    }
    return ended();
}

std::int64_t query::integer_at(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view query::view(int column) const {
    const void* bytes = sqlite3_column_blob(statement_, column);
    return {static_cast<const char*>(bytes), std::size_t(sqlite3_column_bytes(statement_, column))};
}

void query::check(int code) {
    if (code != SQLITE_OK && !error_) error_ = db_.last_error(code);
}

void query::bind_null() {
    if (!error_) check(sqlite3_bind_null(statement_, ++parameter_));
}

void query::bind_integer(std::int64_t value) {
    if (!error_) check(sqlite3_bind_int64(statement_, ++parameter_, value));
}

void query::bind_text(std::string_view value) {
    if (error_) return;
    const char* text = value.data() == nullptr ? "" : value.data(); // a null pointer would be NULL
    check(sqlite3_bind_text64(statement_, ++parameter_, text, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
}

void query::bind_blob(std::string_view value) {
    if (error_) return;
    const char* bytes = value.data() == nullptr ? "" : value.data();
    check(sqlite3_bind_blob64(statement_, ++parameter_, bytes, value.size(), SQLITE_STATIC));
}

} // namespace fb::storage::sqlite
