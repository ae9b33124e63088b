// UTC as text, for what is told to clients.
#pragma once

#include <cstdint>
#include <string>

namespace fb::core {

/// "2026-11-22T10:15:30Z".
std::string rfc3339(std::int64_t unix_ms);

} // namespace fb::core
