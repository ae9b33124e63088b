#include "storage/sqlite/rows.hpp"

#include <algorithm>
#include <vector>

namespace fb::storage::sqlite {

namespace {

std::vector<std::string_view> split(std::string_view columns) {
    std::vector<std::string_view> out;
    for (std::size_t at = 0; at < columns.size();) {
        const std::size_t end = std::min(columns.find(", ", at), columns.size());
        out.push_back(columns.substr(at, end - at));
        at = end + 2;
    }
    return out;
}

} // namespace

std::string qualified(char table, std::string_view columns) {
    std::string out;
    for (const auto column : split(columns)) {
        if (!out.empty()) out += ", ";
        out.append(1, table).append(".").append(column);
    }
    return out;
}

std::string placeholders(std::string_view columns) {
    std::string out;
    for (std::size_t i = split(columns).size(); i > 0; --i) out += out.empty() ? "(?" : ", ?";
    return out + ")";
}

std::string insert_sql(std::string_view table, std::string_view columns) {
    return "INSERT INTO " + std::string(table) + " (" + std::string(columns) + ") VALUES " + placeholders(columns);
}

std::string excluded_sql(std::string_view columns, std::string_view but_first, std::string_view but_second) {
    std::string out;
    for (const auto column : split(columns)) {
        if (column == but_first || column == but_second) continue;
        if (!out.empty()) out += ", ";
        out.append(column).append(" = excluded.").append(column);
    }
    return out;
}

} // namespace fb::storage::sqlite
