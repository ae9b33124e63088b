// The first bytes of every payload that the load generator sends, by which whoever gets it knows what it is. Pure.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>

namespace fb::fleet {

struct message_head {
    static constexpr std::uint32_t our_magic = 0xF07AB30C;

    std::uint64_t sequence;
    std::uint64_t sent_ns;
    std::uint32_t publisher;
    std::uint32_t magic = our_magic;

    /// Valid as long as the head itself.
    std::string_view bytes() const { return {reinterpret_cast<const char*>(this), sizeof *this}; }
};
static_assert(sizeof(message_head) == 24);

/// Nothing when the payload is none of ours.
inline std::optional<message_head> read_head(std::string_view payload, std::size_t payload_bytes) {
    message_head head{};
    if (payload.size() != payload_bytes || payload_bytes < sizeof head) return std::nullopt;
    std::memcpy(&head, payload.data(), sizeof head);
    return head.magic == message_head::our_magic ? std::optional(head) : std::nullopt;
}

} // namespace fb::fleet
