// XXH3 of 64 bits. The seed makes one segment's checksums worthless in another.
#pragma once

#include <cstdint>
#include <string_view>

namespace fb::storage::redo {

std::uint64_t checksum(std::string_view bytes, std::uint64_t seed) noexcept;

} // namespace fb::storage::redo
