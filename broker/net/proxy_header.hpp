// The PROXY protocol's header, versions 1 and 2, with which a load balancer says for whom it connects. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fb::net {

/// Room for every header that is accepted: version 2 with 1 KiB of addresses and TLVs. Version 1 has 107 bytes.
inline constexpr std::size_t proxy_header_bytes_max = 16 + 1024;

struct proxy_header {
    enum class state { incomplete, complete, refused };
    state what = state::incomplete;
    std::size_t size = 0; // of a complete one
    std::string source;   // its source address, without port; empty: the connection is the proxy's own, or not known
    const char* why = ""; // it is refused
};

/// Reads the header at the front of `bytes`. While it is incomplete, all of `bytes` belongs to it.
proxy_header read_proxy_header(std::string_view bytes);

} // namespace fb::net
