// One function per fota_operation: what it does inside the savepoint that fota_store.cpp opened.
// On the writer's thread. An error means that the caller rolls the savepoint back.
#pragma once

#include "storage/fota_store.hpp"
#include "storage/sqlite/connection.hpp"

namespace fb::storage::sqlite {

fota_outcome perform(connection& db, const fota_operation& operation);

} // namespace fb::storage::sqlite
