// What a batch adds to the audit log (storage/audit.hpp), in SQL: the row before is known to the server only, because
// other gateways write, too. One writer at a time has the chain's end, from here to the end of its transaction. It
// waits for nobody in that time, if nothing but COMMIT comes after this: so no two can wait for each other.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "storage/fota_store.hpp"
#include "storage/postgres/connection.hpp"

namespace fb::storage::postgres {

/// None: there is nothing to log.
std::vector<command> audit_commands(std::span<const fota_operation> operations,
                                    const std::vector<std::optional<fota_outcome>>& outcomes);

} // namespace fb::storage::postgres
