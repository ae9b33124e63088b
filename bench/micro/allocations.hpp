// How often this program has asked for memory so far: operator new, malloc, calloc and realloc, libraries' calls too.
#pragma once

#include <cstdint>

namespace fb::micro {

std::uint64_t allocations() noexcept;

} // namespace fb::micro
