// The wall clock: from when on it is believed, and UTC as text for what is told to clients.
#pragma once

#include <cstdint>
#include <string>

namespace fb::core {

/// A gateway without a battery wakes up in 1970. 2024-01-01: before this program was.
inline constexpr std::int64_t earliest_credible_unix_ms = 1'704'067'200'000;

/// "2026-11-22T10:15:30Z".
std::string rfc3339(std::int64_t unix_ms);

} // namespace fb::core
