// The session store over an open, migrated state.db. One writer thread after the load.
#pragma once

#include <memory>

#include "storage/session_store.hpp"
#include "storage/sqlite/connection.hpp"

namespace fb::storage::sqlite {

std::unique_ptr<checkpointed_store> make_session_store(std::unique_ptr<connection> db);

} // namespace fb::storage::sqlite
