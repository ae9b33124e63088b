// Local addresses to connect from, in turn: one has too few ports for tens of thousands of connections to a broker on
// this machine.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/fleet/stream.hpp"

namespace fb::fleet {

class source_addresses {
  public:
    /// None when the broker is not on 127.0.0.0/8: then the kernel chooses.
    source_addresses(const socket_address& broker, std::uint32_t connections);

    /// Null: whichever.
    const socket_address* of(std::uint32_t connection) const {
        return addresses_.empty() ? nullptr : &addresses_[connection % addresses_.size()];
    }

  private:
    std::vector<socket_address> addresses_;
};

} // namespace fb::fleet
