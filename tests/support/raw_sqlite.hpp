// What a person with the sqlite3 command sees and does: SQL text in, rows of text out, outside of our own layer.
#pragma once

#include <doctest/doctest.h>
#include <sqlite3.h>

#include <filesystem>
#include <string>

namespace fb::test {

/// Runs `sql`; the rows as lines, columns parted by '|', NULL as "NULL"; or "error: " and SQLite's words.
inline std::string raw_sql(const std::filesystem::path& file, const std::string& sql) {
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open(file.c_str(), &db) == SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    sqlite3_exec(db, "PRAGMA foreign_keys = ON", nullptr, nullptr, nullptr);
    std::string out;
    const auto add_row = [](void* to, int count, char** values, char**) {
        auto& text = *static_cast<std::string*>(to);
        if (!text.empty()) text += '\n';
        for (int i = 0; i < count; ++i) {
            if (i > 0) text += '|';
            text += values[i] == nullptr ? "NULL" : values[i];
        }
        return 0;
    };
    char* problem = nullptr;
    if (sqlite3_exec(db, sql.c_str(), add_row, &out, &problem) != SQLITE_OK) out = std::string("error: ") + problem;
    sqlite3_free(problem);
    sqlite3_close(db);
    return out;
}

} // namespace fb::test
