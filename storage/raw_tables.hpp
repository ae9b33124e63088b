// The FOTA tables as rows of texts, for tools that look at a whole database or copy one: `fotabroker db`. A list of
// tables for all engines, and one implementation each (sqlite/raw_tables.cpp, postgres/raw_tables.cpp).
//
// Texts have one form for all engines: ids in lower case, times as format_timestamp writes them, bools "true" and
// "false". One thread; never used while the same object's transaction is another thread's.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "storage/columns.hpp"
#include "storage/error.hpp"

namespace fb::storage {

struct table {
    const char* name;
    int key_columns;     // how many of the columns, from the first, are the key
    std::string columns; // "a, b"
    std::vector<column_type> types;
};
/// All of the present schema version, those that others refer to first.
const std::vector<table>& fota_tables();

/// One row, a text or NULL for each column.
using raw_row = std::vector<std::optional<std::string>>;

struct database_state {
    std::string place;  // the file, or the URL without a password and the schema
    std::string engine; // with its version
    int version = 0;    // of the schema; 0: no tables yet
    int known = 0;      // to this program
    std::int64_t size_bytes = 0;
    std::vector<std::pair<std::string, std::int64_t>> rows; // of each table; empty unless version == known
};

class raw_tables {
  public:
    virtual ~raw_tables() = default;

    virtual result<database_state> state() = 0;
    /// What is wrong with the database, in words; empty: nothing was found. May take as long as reading all of it.
    virtual result<std::vector<std::string>> faults() = 0;

    /// One transaction until commit() or the end of the object: what is read is of one moment, what is written is
    /// whole.
    virtual status begin(bool writing) = 0;
    virtual status commit() = 0;
    /// At most `limit` rows in the order of their keys, those behind the row `after`; of all when it is empty.
    virtual result<std::vector<raw_row>> read(const table& t, const raw_row& after, int limit) = 0;
    virtual status write(const table& t, std::span<const raw_row> rows) = 0;
};

/// "a" or "a, b": the columns of the key.
std::string key_of(const table& t);

/// What may never be, as a query that counts it, and the words for it. The SQL is every engine's.
struct consistency_rule {
    const char* sql;
    const char* words;
};
std::span<const consistency_rule> consistency_rules();

} // namespace fb::storage
