// Stores a message under each of many topics, then lets one subscriber with a wildcard get them all, and measures that
// second half. Every message must come exactly once, in whatever order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/fleet/feed.hpp"
#include "bench/fleet/gathering.hpp"
#include "bench/fleet/sequence_checker.hpp"
#include "bench/fleet/stored_part.hpp"

namespace fb::fleet {

struct retained_options {
    feed_options feed;                             // its peer is what the subscriber is like, too
    proto::qos quality = proto::qos::at_most_once; // of the subscription
    double timeout_seconds = 120;
    std::string topic_prefix = "bench";
    stored_part part = stored_part::all;
    pid_t broker_pid = 0;
};

struct retained_report {
    std::string error; // "" when it ran to its end
    verification checked;
    phase read;
};

class retained_run final : peer_events, feed_events {
  public:
    explicit retained_run(retained_options options);
    retained_report run(const volatile int* interrupted);

  private:
    void on_ready(load_peer& peer) override;
    void on_subscribed(load_peer&) override {}
    void on_delivery(load_peer& peer, std::string_view payload) override;
    void on_acknowledged(load_peer&, proto::packet_id, bool) override {}
    void on_lost(load_peer&, const std::string& why) override { end("subscriber lost: " + why); }
    void on_feed_ready() override { feed_.start(); }
    void on_feed_done() override;
    void on_feed_lost(const std::string& why) override { end(why); }

    feed_options with_topics() const;
    void end(const std::string& error);

    retained_options options_;
    process_meter broker_;
    loop loop_;
    feed feed_;
    load_peer subscriber_;
    gathering reading_;
    std::vector<bool> seen_; // by message number
    bool ended_ = false;
    retained_report report_;
};

} // namespace fb::fleet
