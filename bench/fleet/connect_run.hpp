// Two measurements about connections: how many can be made per second and what each costs the broker (connect_run), and
// what an idle one keeps in the broker's memory (idle_run).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/fleet/load_peer.hpp"
#include "bench/fleet/process_meter.hpp"
#include "bench/fleet/source_addresses.hpp"

namespace fb::fleet {

struct connect_options {
    peer_options peer;
    std::uint32_t count = 1000;
    std::uint32_t concurrency = 20;
    bool resume = false; // keep each place's TLS session for its next connection
    double timeout_seconds = 120;
    pid_t broker_pid = 0;
};

struct connect_report {
    std::string error;
    std::uint32_t connections = 0;
    std::uint32_t resumed = 0;
    double seconds = 0;
    std::uint64_t broker_cpu_ns = 0;
};

/// `concurrency` places, each connecting (TCP, TLS, CONNECT, CONNACK) and disconnecting in turn. One connection per
/// place comes first and is not counted: it gives the session to resume and warms the broker up.
class connect_run final : peer_events {
  public:
    explicit connect_run(connect_options options);
    connect_report run(const volatile int* interrupted);

  private:
    void on_ready(load_peer& peer) override;
    void on_subscribed(load_peer&) override {}
    void on_delivery(load_peer&, std::string_view) override {}
    void on_acknowledged(load_peer&, proto::packet_id, bool) override {}
    void on_lost(load_peer& peer, const std::string& why) override;

    void start_measuring();

    connect_options options_;
    process_meter broker_;
    loop loop_;
    std::vector<ssl_session_ptr> sessions_;
    std::vector<std::unique_ptr<load_peer>> places_;
    std::uint32_t warmed_up_ = 0;
    std::uint32_t started_ = 0; // since measuring
    loop::clock::time_point measured_from_;
    connect_report report_;
};

struct idle_options {
    peer_options peer;
    std::uint32_t connections = 1000;
    double settle_seconds = 2;
    double quiet_seconds = 0; // after that: for so long the broker's CPU time is taken
    std::uint16_t keep_alive_s = 0;
    double timeout_seconds = 300;
    pid_t broker_pid = 0;
};

struct idle_report {
    std::string error;
    std::uint32_t connections = 0; // that were measured
    std::uint64_t resident_before_bytes = 0;
    std::uint64_t resident_after_bytes = 0;
    double quiet_seconds = 0;
    std::uint64_t quiet_cpu_ns = 0;
};

/// Opens a twentieth of the connections (at least 10), takes the broker's resident memory, opens the others, takes it
/// again: what a first connection costs once (tables, the first TLS objects) is not counted as its own. Clients with a
/// keep-alive ping in turn, each once in that time, as mosquitto's and Paho's do.
class idle_run final : peer_events {
  public:
    explicit idle_run(idle_options options);
    idle_report run(const volatile int* interrupted);

  private:
    void on_ready(load_peer& peer) override;
    void on_subscribed(load_peer&) override {}
    void on_delivery(load_peer&, std::string_view) override {}
    void on_acknowledged(load_peer&, proto::packet_id, bool) override {}
    void on_lost(load_peer& peer, const std::string& why) override;

    void open_more();
    void settled();
    void ping_some();
    void quiet_ended();

    idle_options options_;
    process_meter broker_;
    source_addresses sources_;
    loop loop_;
    std::vector<std::unique_ptr<load_peer>> peers_;
    std::uint32_t goal_ = 0;
    std::uint32_t opened_ = 0;
    std::uint32_t ready_ = 0;
    std::uint64_t pings_ = 0;
    loop::clock::time_point quiet_from_;
    idle_report report_;
};

} // namespace fb::fleet
