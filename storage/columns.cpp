#include "storage/columns.hpp"

#include <algorithm>

namespace fb::storage {

std::vector<std::string_view> split_columns(std::string_view columns) {
    std::vector<std::string_view> out;
    for (std::size_t at = 0; at < columns.size();) {
        const std::size_t end = std::min(columns.find(", ", at), columns.size());
        out.push_back(columns.substr(at, end - at));
        at = end + 2;
    }
    return out;
}

std::string qualified(std::string_view table, std::string_view columns) {
    std::string out;
    for (const auto column : split_columns(columns)) {
        if (!out.empty()) out += ", ";
        out.append(table).append(".").append(column);
    }
    return out;
}

std::string excluded_sql(std::string_view columns, std::string_view but_first, std::string_view but_second) {
    std::string out;
    for (const auto column : split_columns(columns)) {
        if (column == but_first || column == but_second) continue;
        if (!out.empty()) out += ", ";
        out.append(column).append(" = excluded.").append(column);
    }
    return out;
}

std::string device_update_sql() {
    static constexpr std::string_view kept[] = {"id",   "first_seen",       "device_id",
                                                "tags", "name_by_operator", "type_by_operator"};
    std::string out;
    for (const auto column : split_columns(device_columns)) {
        if (std::ranges::find(kept, column) != std::end(kept)) continue;
        if (!out.empty()) out += ", ";
        const std::string name(column);
        if (column == "name" || column == "type")
            out += name + " = CASE WHEN devices." + name + "_by_operator THEN devices." + name + " ELSE excluded." +
                   name + " END";
        else
            out += name + " = excluded." + name;
    }
    return out;
}

} // namespace fb::storage
