#include "broker/net/network_prefix.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>

namespace fb::net {

std::optional<network_prefix> network_prefix::parse(std::string_view text) {
    const auto slash = text.find('/');
    const std::string address(text.substr(0, slash));
    const auto base = bytes_of(address);
    if (!base) return std::nullopt;
    network_prefix p;
    p.base_ = *base;
    if (slash == text.npos) return p;
    const bool v4 = address.find(':') == address.npos;
    const std::string_view digits = text.substr(slash + 1);
    unsigned bits = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (error != std::errc{} || end != digits.data() + digits.size() || bits > (v4 ? 32u : 128u)) return std::nullopt;
    p.bits_ = v4 ? bits + 96 : bits;
    if (masked(p.base_, p.bits_) != p.base_) return std::nullopt;
    return p;
}

bool network_prefix::contains(const std::string& address) const {
    const auto found = bytes_of(address);
    return found && masked(*found, bits_) == base_;
}

std::optional<network_prefix::bytes> network_prefix::bytes_of(const std::string& address) {
    bytes b{};
    if (::inet_pton(AF_INET6, address.c_str(), b.data()) == 1) return b;
    b[10] = b[11] = 0xFF;
    if (::inet_pton(AF_INET, address.c_str(), b.data() + 12) == 1) return b;
    return std::nullopt;
}

network_prefix::bytes network_prefix::masked(bytes b, unsigned bits) {
    for (unsigned i = 0; i < b.size(); ++i) {
        const unsigned kept = std::min(8u, bits - std::min(bits, i * 8));
        b[i] = static_cast<std::uint8_t>(b[i] & (0xFF00u >> kept));
    }
    return b;
}

} // namespace fb::net
