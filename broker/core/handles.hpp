// How things are named across calls and threads: a slot and the generation it was handed out with. A stale handle is
// recognised by its owner and harmless.
#pragma once

#include <compare>
#include <cstdint>

namespace fb::core {

using shard_id = std::uint16_t;

/// The in-process client (FOTA): its subscriptions live in the routing index like everybody's, on no shard.
inline constexpr shard_id local_shard = 0xFFFF;

/// A transport connection of one shard.
struct connection_handle {
    std::uint32_t slot = 0;
    std::uint32_t generation = 0; // 0: no connection
    explicit operator bool() const noexcept { return generation != 0; }
    friend bool operator==(const connection_handle&, const connection_handle&) = default;
};

/// A session on its home shard.
struct session_handle {
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;
    shard_id shard = 0;
    friend auto operator<=>(const session_handle&, const session_handle&) = default;
};

} // namespace fb::core
