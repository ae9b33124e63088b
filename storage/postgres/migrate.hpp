// Numbered migrations in PostgreSQL and who runs them. The numbers and names are those of SQLite's, and so are the
// tables afterwards; a test compares them. Runs at start, on whichever thread opens the store.
#pragma once

#include <span>

#include "storage/postgres/connection.hpp"

namespace fb::storage::postgres {

struct migration {
    int version;
    const char* name;
    const char* script;
};

std::span<const migration> fota_migrations();

/// The version in the database, 0 for none. Changes nothing.
result<int> version_of(connection& db, const std::string& schema);

/// Runs what is missing, each in a transaction of its own and one opener at a time. schema: the database is of a newer
/// program.
status migrate(connection& db, const std::string& schema, std::span<const migration> migrations);

} // namespace fb::storage::postgres
