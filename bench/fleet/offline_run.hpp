// What persistent sessions cost while their clients are away and when they come back: makes the sessions, ends their
// connections, publishes the same number of QoS 1 messages to each (measured: queued), connects them all again and
// waits for everything (measured: drained). Checked by number and order in each session.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/fleet/feed.hpp"
#include "bench/fleet/gathering.hpp"
#include "bench/fleet/sequence_checker.hpp"
#include "bench/fleet/stored_part.hpp"

namespace fb::fleet {

struct offline_options {
    peer_options peer;             // client ids are prefixed with peer.client_id
    std::uint32_t sessions = 1000; // a multiple of the publishers: each session's messages come from one of them
    std::uint32_t messages_each = 100;
    std::uint32_t messages_large = 0; // of the first sessions, as many as there are publishers; 0: as the others
    std::uint32_t publishers = 10;
    std::uint32_t inflight = 10; // per publisher
    std::size_t payload_bytes = 64;
    stored_part part = stored_part::all;
    double timeout_seconds = 120;
    std::string topic_prefix = "bench";
    pid_t broker_pid = 0;
};

struct offline_report {
    std::string error; // "" when it ran to its end
    verification checked;
    phase queued;
    phase drained;
};

class offline_run final : peer_events, feed_events {
  public:
    /// Throws std::runtime_error when the options cannot be.
    explicit offline_run(offline_options options);
    offline_report run(const volatile int* interrupted);

  private:
    void on_ready(load_peer& peer) override;
    void on_subscribed(load_peer& peer) override;
    void on_delivery(load_peer& peer, std::string_view payload) override;
    void on_acknowledged(load_peer&, proto::packet_id, bool) override {}
    void on_lost(load_peer& peer, const std::string& why) override;
    void on_feed_ready() override;
    void on_feed_done() override;
    void on_feed_lost(const std::string& why) override { end(why); }

    feed_options for_feed() const;
    std::string topic_of(std::uint64_t session) const;
    /// Message m is the (m / sessions)th of session m % sessions; those of large sessions alone come after all of
    /// these.
    std::uint64_t messages_of_all() const { return std::uint64_t{options_.sessions} * options_.messages_each; }
    std::uint64_t messages() const;
    std::uint64_t session_of(std::uint64_t message) const;
    std::uint64_t place_of(std::uint64_t message) const;
    std::uint64_t due(std::uint64_t session) const;
    void open_more();
    void come_back();
    void collect();
    void end(const std::string& error);

    offline_options options_;
    process_meter broker_;
    loop loop_;
    feed feed_;
    gathering draining_;
    std::vector<std::unique_ptr<load_peer>> sessions_;
    std::vector<sequence_checker> checkers_; // per session
    std::uint32_t opened_ = 0;               // of this round of connections, as the next
    std::uint32_t ready_ = 0;
    std::uint32_t away_ = 0; // subscribed and gone
    bool back_ = false;
    bool ended_ = false;
    offline_report report_;
};

} // namespace fb::fleet
