// Incremental framing: where does the packet that starts here end? Refuses by the announced length, before a byte of
// the body has to be kept.
#pragma once

#include <cstdint>
#include <string_view>

#include "proto/error.hpp"
#include "proto/types.hpp"

namespace fb::proto {

/// One whole packet inside the bytes given.
struct frame {
    packet_type type{};
    std::uint8_t flags = 0;   // the lower four bits of the first byte, not yet judged
    std::string_view body;    // variable header and payload
    std::uint32_t size = 0;   // bytes of the whole packet, fixed header included; 0: not complete yet
    std::uint32_t needed = 0; // when not complete: bytes the whole packet will have, or 0 while that is unknown

    bool complete() const noexcept { return size != 0; }
};

/// Looks at the packet that starts at bytes[0]. An incomplete one is no error: call again with more bytes.
/// Errors: packet type 0 (malformed), a remaining length of more than four bytes or not minimally encoded (malformed),
/// a packet longer than `packet_size_max` bytes in all (packet_too_large): known from the fixed header alone.
result<frame> next_frame(std::string_view bytes, std::uint32_t packet_size_max) noexcept;

} // namespace fb::proto
