// Takes a fuzz input apart: its first byte chooses, the rest is the data.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proto/types.hpp"

namespace fb::fuzz {

/// A finding: libFuzzer keeps the input.
inline void require(bool holds) {
    if (!holds) std::abort();
}

/// Bits 0 and 1 of the first byte choose the version, bit 2 the sender.
struct protocol_choice {
    proto::version version = proto::version::v5;
    bool from_client = true;
};

inline protocol_choice choice_of(std::uint8_t first) {
    constexpr proto::version versions[]{proto::version::v5, proto::version::v3_1_1, proto::version::v3_1,
                                        proto::version::v5};
    return {versions[first & 3], (first & 4) == 0};
}

/// What choice_of() reads, for writing seeds.
constexpr char first_byte_of(proto::version v, bool from_client) {
    const int version = v == proto::version::v5 ? 0 : v == proto::version::v3_1_1 ? 1 : 2;
    return static_cast<char>(version | (from_client ? 0 : 4));
}

} // namespace fb::fuzz
