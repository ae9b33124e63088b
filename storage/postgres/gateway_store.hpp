// The other gateways on the same PostgreSQL (storage/gateway_store.hpp). Hints are rows; NOTIFY says only that there
// may be some, so one that gets lost costs a second, not a device.
#pragma once

#include <memory>

#include "storage/gateway_store.hpp"
#include "storage/postgres/open.hpp"

namespace fb::storage::postgres {

/// The name of the channel, as an expression: one per schema.
inline constexpr const char* channel_sql = "'fotabroker_' || md5(current_schema())";

/// Connects at the first call. The schema is migrated (open_fota_store).
std::unique_ptr<gateway_store> make_gateway_store(const settings& s);

} // namespace fb::storage::postgres
