// One run of a prepared statement: values in, rows out, an error that sticks.
// Borrows a statement of its connection and gives it back, reset, when destroyed: one run per SQL text at a time.
// Text columns are valid until the next call of next().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "storage/columns.hpp"
#include "storage/sqlite/connection.hpp"

namespace fb::storage::sqlite {

/// Bound as a BLOB and not copied: must outlive the query.
struct blob {
    std::string_view bytes;
};

class query {
  public:
    query(connection& db, std::string_view sql);
    ~query();
    query(const query&) = delete;
    query& operator=(const query&) = delete;

    /// Binds the next parameters, in order.
    template <class... Values>
    query& with(const Values&... values) {
        (bind(values), ...);
        return *this;
    }

    /// Moves to the next row. False: no more, or failed; ended() tells.
    bool next();
    status ended() const;
    /// For statements without rows.
    status run();

    /// Reads the columns of the present row from left to right.
    template <class T>
    query& operator>>(T& out) {
        read(out);
        return *this;
    }
    std::string_view view(int column) const; // text or blob as bytes
    std::int64_t integer_at(int column) const;

  private:
    template <class T>
    void bind(const T& value);
    void bind_null();
    void bind_integer(std::int64_t value);
    void bind_text(std::string_view value);
    void bind_blob(std::string_view value);
    void check(int code);

    template <class T>
    void read(T& out);
    void read_enum(update_state& out, std::string_view text) { out = parse_update_state(text).value_or(out); }
    void read_enum(firmware_state& out, std::string_view text) { out = parse_firmware_state(text).value_or(out); }
    void read_enum(result_status& out, std::string_view text) { out = parse_result_status(text).value_or(out); }

    connection& db_;
    sqlite3_stmt* statement_ = nullptr;
    std::optional<error> error_;
    int parameter_ = 0; // the last one bound
    int column_ = 0;    // the next one to read
};

template <class T>
void query::bind(const T& value) {
    if constexpr (is_optional<T>) {
        value ? bind(*value) : bind_null();
    } else if constexpr (std::is_same_v<T, blob>) {
        bind_blob(value.bytes);
    } else if constexpr (std::is_same_v<T, timestamp>) {
        bind_text(format_timestamp(value));
    } else if constexpr (std::is_integral_v<T>) {
        bind_integer(static_cast<std::int64_t>(value));
    } else if constexpr (std::is_enum_v<T> || requires { value.bytes; }) {
        bind_text(to_string(value));
    } else {
        bind_text(value);
    }
}

// A row that somebody else wrote may hold what we would not: a NULL or unreadable value leaves the member's default.
template <class T>
void query::read(T& out) {
    if constexpr (is_optional<T>) {
        if (sqlite3_column_type(statement_, column_) == SQLITE_NULL) {
            out.reset();
            ++column_;
            return;
        }
        read(out.emplace());
        return;
    } else if constexpr (std::is_same_v<T, std::string>) {
        out = view(column_);
    } else if constexpr (std::is_same_v<T, timestamp>) {
        out = parse_timestamp(view(column_)).value_or(out);
    } else if constexpr (std::is_same_v<T, bool>) {
        out = sqlite3_column_int64(statement_, column_) != 0;
    } else if constexpr (std::is_integral_v<T>) {
        out = static_cast<T>(sqlite3_column_int64(statement_, column_));
    } else if constexpr (std::is_floating_point_v<T>) {
        out = sqlite3_column_double(statement_, column_);
    } else if constexpr (std::is_enum_v<T>) {
        read_enum(out, view(column_));
    } else {
        out = parse_id<T>(view(column_)).value_or(out);
    }
    ++column_;
}

} // namespace fb::storage::sqlite
