// The session store over an open, migrated state.db. One writer thread after the load.
#pragma once

#include <memory>
#include <string>

#include "storage/session_store.hpp"
#include "storage/sqlite/connection.hpp"

namespace fb::storage::sqlite {

/// `what`: a table, or how many errors to look for in all of them.
status quick_check(connection& db, const std::string& what);

std::unique_ptr<checkpointed_store> make_session_store(std::unique_ptr<connection> db);

} // namespace fb::storage::sqlite
