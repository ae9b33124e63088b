// A copy of state.db with all that is acknowledged, wherever it is to be had: from the broker that holds the data
// directory, or, when none does, from the files themselves. Commands only.
#pragma once

#include <cstdint>
#include <functional>

#include "broker/app/config.hpp"
#include "broker/backup/disk.hpp"

namespace fb::app {

/// Bytes done and in all.
using copy_told = std::function<void(std::uint64_t done, std::uint64_t all)>;

/// Readable, and without a name: nothing of it stays. Throws std::runtime_error or backup::failure.
backup::descriptor copy_of_state(const config& c, const copy_told& told);

} // namespace fb::app
