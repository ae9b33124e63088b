// An engine as its shell treats it, without the shell: at the end of a turn its output is sent (forgotten), and what it
// wants kept is committed. One thread; time stands still.
#pragma once

#include <string_view>

#include "broker/core/engine.hpp"

namespace fb::micro {

class one_shard : core::crossing_port {
  public:
    /// `kept`: what is durable of publishes to persistent sessions, and of retained ones.
    explicit one_shard(core::durability kept = core::durability::none, const core::limits& limits = {});

    core::connection_handle connect(std::string_view client_id, std::uint32_t expiry_s = 0);
    void disconnect(core::connection_handle c);
    void subscribe(core::connection_handle c, std::string_view filter, proto::qos quality);
    void unsubscribe(core::connection_handle c, std::string_view filter);

    /// Throws when the engine does not take all of it.
    void receive(core::connection_handle c, std::string_view bytes);
    /// Throws when the engine ends a connection whose client did not ask for it.
    void end_turn();

    const core::counters& counted() const { return engine_.statistics(); }
    core::routing_index& index() { return index_; }

  private:
    void send(core::shard_id to, core::crossing what) override;
    void deliver_sent() override {}
    void flush();
    void close_ended();

    core::instant now_{1'000'000, 1'700'000'000'000};
    core::routing_index index_;
    core::retained retained_;
    core::shared_counts counts_;
    core::effects effects_;
    core::engine engine_;
    std::vector<core::connection_handle> touched_;
};

} // namespace fb::micro
