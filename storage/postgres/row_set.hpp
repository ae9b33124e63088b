// Rows of one table as parameters: an array for each column, which unnest() makes rows of again. So one statement has
// any number of rows, and its text does not depend on it. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "storage/columns.hpp"
#include "storage/postgres/values.hpp"

namespace fb::storage::postgres {

class row_set {
  public:
    explicit row_set(std::size_t columns)
        : arrays_(columns) {}

    /// The next row: what leads, then the members of a row struct (columns.hpp).
    template <class... Members, class... Leading>
    void add(const std::tuple<Members&...>& members, const Leading&... leading) {
        std::size_t column = 0;
        (append(arrays_[column++], to_parameter(leading)), ...);
        std::apply([&](const auto&... member) { (append(arrays_[column++], to_parameter(member)), ...); }, members);
    }

    void add_row(const std::vector<parameter>& row);

    /// One parameter for each column.
    void move_to(std::vector<parameter>& out);

  private:
    static void append(std::string& array, const parameter& value);
    std::vector<std::string> arrays_;
};

/// "name (columns) AS (SELECT * FROM unnest($7::uuid[], ...))", from the parameter after `last` on, which is moved.
std::string rows_cte(std::string_view name, const std::string& columns, const std::vector<const char*>& types,
                     int& last);

/// The types of a row struct's columns behind those that lead.
template <class Tuple>
std::vector<const char*> types_of(std::vector<const char*> leading, const Tuple& members) {
    const auto own = type_names(members);
    leading.insert(leading.end(), own.begin(), own.end());
    return leading;
}

} // namespace fb::storage::postgres
