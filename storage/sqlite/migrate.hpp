// Numbered migrations and who runs them. The texts: fota_schema.cpp and state_schema.cpp.
// Runs at start, on whichever thread opens the store.
#pragma once

#include <span>

#include "storage/sqlite/connection.hpp"

namespace fb::storage::sqlite {

struct migration {
    int version;
    const char* name;
    const char* script;
};

std::span<const migration> fota_migrations();
std::span<const migration> state_migrations();

/// The version in the file, 0 for none. Changes nothing.
result<int> version_of(connection& db);

/// Runs what is missing, each in a transaction of its own; safe when another process does the same at the same time.
/// schema: the file is newer than the last of `migrations`.
status migrate(connection& db, std::span<const migration> migrations);

} // namespace fb::storage::sqlite
