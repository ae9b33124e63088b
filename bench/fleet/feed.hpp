// Publishes a number of messages at QoS 1, as far as the broker acknowledges them: what retained_run and offline_run
// put into a broker before anybody is there to read it.
//
// Publisher p sends the messages p, p + publishers, ..., each with its number as sequence; `inflight` of them at a
// time. Events come from the loop, once each: on_feed_ready when all are connected, on_feed_done after the last
// acknowledgement; or on_feed_lost at any time, and then nothing more.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/fleet/load_peer.hpp"

namespace fb::fleet {

struct feed_events {
    virtual void on_feed_ready() = 0;
    virtual void on_feed_done() = 0;
    virtual void on_feed_lost(const std::string& why) = 0;

  protected:
    ~feed_events() = default;
};

struct feed_options {
    peer_options peer; // client ids are peer.client_id, "feed" and a number
    std::uint64_t messages = 100'000;
    std::uint32_t publishers = 10;
    std::uint32_t inflight = 10; // per publisher
    std::size_t payload_bytes = 64;
    bool retain = false;
    std::function<std::string(std::uint64_t message)> topic_of;
};

class feed final : peer_events {
  public:
    /// Throws std::runtime_error when the options cannot be.
    feed(loop& l, feed_options options, feed_events& events);

    void connect();
    /// REQUIRES: on_feed_ready.
    void start();
    /// Ends the connections.
    void close();
    std::uint64_t refused() const { return refused_; }

  private:
    void on_ready(load_peer& peer) override;
    void on_subscribed(load_peer&) override {}
    void on_delivery(load_peer&, std::string_view) override {}
    void on_acknowledged(load_peer& peer, proto::packet_id id, bool refused) override;
    void on_lost(load_peer& peer, const std::string& why) override;

    void publish_next(load_peer& peer);

    feed_options options_;
    feed_events& events_;
    std::vector<std::unique_ptr<load_peer>> peers_;
    std::vector<std::uint64_t> next_; // per publisher: the message it sends next
    std::uint32_t ready_ = 0;
    std::uint64_t acknowledged_ = 0;
    std::uint64_t refused_ = 0;
};

} // namespace fb::fleet
