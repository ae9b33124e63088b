// A network ("10.0.0.0/8", "fd00::/8") or a single address, and whether an address is in it. A value; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fb::net {

class network_prefix {
  public:
    /// None when `text` is neither, or when bits are set behind the prefix ("10.0.0.1/8": a slip of the pen).
    static std::optional<network_prefix> parse(std::string_view text);

    /// `address` is textual, without a port; what is no IP address is in no network.
    bool contains(const std::string& address) const;

  private:
    using bytes = std::array<std::uint8_t, 16>; // an IPv4 address as ::ffff:a.b.c.d
    static std::optional<bytes> bytes_of(const std::string& address);
    static bytes masked(bytes b, unsigned bits);

    bytes base_{};
    unsigned bits_ = 128;
};

} // namespace fb::net
