#include "bench/fleet/source_addresses.hpp"

#include <netinet/in.h>

namespace fb::fleet {

source_addresses::source_addresses(const socket_address& broker, std::uint32_t connections) {
    constexpr std::uint32_t connections_per_address = 20'000; // fewer than the ephemeral ports of one address
    if (broker.storage.ss_family != AF_INET) return;
    const auto& to = reinterpret_cast<const sockaddr_in&>(broker.storage);
    if (ntohl(to.sin_addr.s_addr) >> 24 != 127) return;
    for (std::uint32_t i = 0; i <= connections / connections_per_address; ++i) {
        auto& source = addresses_.emplace_back();
        auto& local = reinterpret_cast<sockaddr_in&>(source.storage);
        local.sin_family = AF_INET;
        local.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + i);
        source.size = sizeof local;
    }
}

} // namespace fb::fleet
