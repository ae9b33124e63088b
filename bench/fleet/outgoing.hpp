// The messages of one publisher on one topic, at QoS 1: numbered, and at most `window` of them on their way. One has
// arrived when it was acknowledged and `awaited_each` subscribers have it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/fleet/load_peer.hpp"

namespace fb::fleet {

struct outgoing_options {
    std::string topic;
    std::size_t payload_bytes = 64;
    std::uint64_t messages = 0;
    std::uint32_t window = 1;
    std::uint32_t awaited_each = 0;
};

class outgoing {
  public:
    /// `number` is what the messages carry as their publisher. `peer` outlives this.
    outgoing(load_peer& peer, std::uint32_t number, outgoing_options options);

    const std::string& topic() const { return options_.topic; }
    /// Publishes as much as the window allows. REQUIRES: the peer is connected.
    void start();
    /// One more of those who are awaited has this message.
    void arrived(std::uint64_t sequence);
    void acknowledged(proto::packet_id id);
    void one_more() {
        ++options_.messages;
        start();
    }
    bool done() const { return first_ == next_ && next_ >= options_.messages; }
    std::uint64_t published() const { return next_; }

  private:
    load_peer& peer_;
    std::uint32_t number_;
    outgoing_options options_;
    std::uint64_t first_ = 0; // those before it have arrived
    std::uint64_t next_ = 0;
    std::vector<std::uint32_t> awaited_; // ring over sequence numbers: what each one from first_ to next_ still awaits
};

} // namespace fb::fleet
