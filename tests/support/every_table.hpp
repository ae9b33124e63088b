// A row for each FOTA table with something in each column, made from the list of tables: what copies a database or
// names its columns is tested with all of them, those that nothing reads yet as well.
#pragma once

#include <doctest/doctest.h>

#include "storage/raw_tables.hpp"

namespace fb::test {

/// References fit, because all ids are the same one and so are all key ids.
inline storage::raw_row full_row(const storage::table& t) {
    using storage::column_type;
    storage::raw_row row;
    const auto columns = storage::split_columns(t.columns);
    for (std::size_t i = 0; i < columns.size(); ++i) {
        switch (t.types[i]) {
        case column_type::uuid: row.emplace_back("01936b6e-0000-7000-8000-000000000001"); break;
        case column_type::time: row.emplace_back("2026-11-23T08:15:30.123Z"); break;
        case column_type::boolean: row.emplace_back("true"); break;
        case column_type::integer: row.emplace_back("7"); break;
        case column_type::bigint: row.emplace_back("5000000000"); break;
        case column_type::text: row.emplace_back(columns[i] == "status" ? "success" : "running"); break;
        }
    }
    return row;
}

/// Enough rows of a table with a key of two columns that they are read in several steps.
inline constexpr int many_groups = 1200;

inline void fill_every_table(storage::raw_tables& db) {
    REQUIRE(db.begin(true));
    for (const storage::table& t : storage::fota_tables()) {
        const storage::raw_row row = full_row(t);
        std::vector<storage::raw_row> rows{row};
        if (std::string_view(t.name) == "rollout_groups") {
            rows.assign(many_groups, row);
            for (int i = 0; i < many_groups; ++i) rows[static_cast<std::size_t>(i)].at(1) = std::to_string(i);
        }
        const auto written = db.write(t, rows);
        REQUIRE_MESSAGE(written, t.name, ": ", written.err().text);
    }
    REQUIRE(db.commit());
}

} // namespace fb::test
