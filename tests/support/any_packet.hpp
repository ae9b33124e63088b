// One packet of any type to a struct and back, and bytes as hex: for the tests of the wire format and the fuzz targets.
#pragma once

#include <string>
#include <variant>

#include "proto/decode.hpp"
#include "proto/encode.hpp"

namespace fb::test {

inline std::string hex(std::string_view bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out;
    for (const char c : bytes) {
        out += digits[static_cast<unsigned char>(c) >> 4];
        out += digits[static_cast<unsigned char>(c) & 0x0F];
    }
    return out;
}

/// Decodes the one packet that `bytes` are.
inline proto::result<proto::packet> decode_one(std::string_view bytes, proto::version v, bool from_client = true) {
    const auto f = proto::next_frame(bytes, proto::no_size_limit);
    if (!f) return f.error();
    return proto::decode(*f, v, from_client);
}

inline std::string encode_any(const proto::packet& p, proto::version v) {
    std::string out;
    std::visit(
        [&](const auto& one) {
            if constexpr (requires { proto::encode(one, v, out); })
                proto::encode(one, v, out);
            else
                proto::encode(one, out);
        },
        p);
    return out;
}

} // namespace fb::test
