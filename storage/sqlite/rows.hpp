// A row of a table into and out of SQLite's statements; the columns: storage/columns.hpp.
// Pure; any thread.
#pragma once

#include "storage/columns.hpp"
#include "storage/sqlite/query.hpp"

namespace fb::storage::sqlite {

template <class... Members>
query& bind_fields(query& q, const std::tuple<Members&...>& members) {
    std::apply([&](const auto&... member) { q.with(member...); }, members);
    return q;
}

/// "(?, ?)": one for each column.
std::string placeholders(std::string_view columns);
/// "INSERT INTO table (columns) VALUES (?, ...)".
std::string insert_sql(std::string_view table, std::string_view columns);

} // namespace fb::storage::sqlite
