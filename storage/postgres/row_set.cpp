#include "storage/postgres/row_set.hpp"

namespace fb::storage::postgres {

void row_set::append(std::string& array, const parameter& value) {
    array += array.empty() ? '{' : ',';
    if (!value) {
        array += "NULL";
        return;
    }
    array += '"';
    for (const char c : *value) {
        if (c == '"' || c == '\\') array += '\\';
        array += c;
    }
    array += '"';
}

void row_set::add_row(const std::vector<parameter>& row) {
    for (std::size_t column = 0; column < arrays_.size(); ++column) append(arrays_[column], row[column]);
}

void row_set::move_to(std::vector<parameter>& out) {
    for (std::string& array : arrays_) {
        if (array.empty()) array = "{";
        out.emplace_back(std::move(array) + "}");
    }
}

std::string rows_cte(std::string_view name, const std::string& columns, const std::vector<const char*>& types,
                     int& last) {
    std::string arrays;
    for (const char* type : types) {
        if (!arrays.empty()) arrays += ", ";
        arrays += "$" + std::to_string(++last) + "::" + type + "[]";
    }
    return std::string(name) + " (" + columns + ") AS (SELECT * FROM unnest(" + arrays + "))";
}

} // namespace fb::storage::postgres
