#include "storage/sqlite/rows.hpp"

namespace fb::storage::sqlite {

std::string placeholders(std::string_view columns) {
    std::string out;
    for (std::size_t i = split_columns(columns).size(); i > 0; --i) out += out.empty() ? "(?" : ", ?";
    return out + ")";
}

std::string insert_sql(std::string_view table, std::string_view columns) {
    return "INSERT INTO " + std::string(table) + " (" + std::string(columns) + ") VALUES " + placeholders(columns);
}

} // namespace fb::storage::sqlite
