// The reports counted over the tables in memory: the reference for the views. Whole lists in no order; whoever calls
// filters, sorts and cuts pages. Pure but for stuck_devices, which looks at the clock as the views do.
#pragma once

#include "storage/memory/tables.hpp"
#include "storage/reports.hpp"

namespace fb::storage::memory {

std::vector<fleet_version> fleet_versions(const tables& t);
std::vector<firmware_success> firmware_successes(const tables& t); // with their failures
std::vector<update_durations> durations(const tables& t);
std::vector<stuck_device> stuck_devices(const tables& t);

} // namespace fb::storage::memory
