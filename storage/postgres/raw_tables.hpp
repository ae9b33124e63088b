// The FOTA tables in PostgreSQL as rows of texts: storage/raw_tables.hpp.
#pragma once

#include <memory>

#include "storage/postgres/open.hpp"
#include "storage/raw_tables.hpp"

namespace fb::storage::postgres {

/// The schema is not migrated. A connection that is lost ends whatever was begun.
result<std::unique_ptr<raw_tables>> open_raw_tables(const settings& s);

} // namespace fb::storage::postgres
