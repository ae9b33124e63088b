// One publisher to a crowd of subscribers, of which some read slowly and some not at all: do the others have
// everything, in order, and what does the broker's memory do meanwhile?
//
// All are subscribed to a stream of messages, by turns at QoS 0 and 1. The slow and the stuck, and a few others, have a
// second, heavy one besides. The publishers wait for those who read well, so it is only the slow ones who fall behind.
// When that load is over all read again, and markers are published to the slow and the stuck until everybody has the
// last one: by then each has been given what the broker had kept for it, and what is missing the broker must have
// counted as dropped.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bench/fleet/outgoing.hpp"
#include "bench/fleet/process_meter.hpp"
#include "bench/fleet/sequence_checker.hpp"
#include "bench/fleet/source_addresses.hpp"

namespace fb::fleet {

struct crowd_options {
    peer_options peer; // client ids are prefixed with peer.client_id
    std::uint32_t subscribers = 10'000;
    std::uint32_t slow = 100;
    std::uint32_t stuck = 100;
    std::uint32_t well = 10; // with the heavy stream, too, and reading well
    std::uint64_t messages = 100;
    std::size_t payload_bytes = 256;
    std::uint64_t heavy_messages = 500;
    std::size_t heavy_payload_bytes = 4096;
    std::uint32_t inflight = 10;
    double timeout_seconds = 120;
    pid_t broker_pid = 0;
};

struct crowd_report {
    std::string error;           // "" when it ran to its end
    verification checked;        // lost: by those who read well
    std::uint64_t delivered = 0; // all messages that arrived
    std::uint64_t missing = 0;   // that the slow and the stuck were not given
    double seconds = 0;          // of load
    std::uint64_t resident_before_bytes = 0;
    std::uint64_t resident_max_bytes = 0; // from the beginning of the load to the end of the run
};

class crowd_run final : peer_events {
  public:
    /// Throws std::runtime_error when the options cannot be.
    explicit crowd_run(crowd_options options);
    crowd_report run(const volatile int* interrupted);

  private:
    enum channel : std::uint32_t { crowd, heavy, markers, channels };
    enum class stage { connecting, loading, collecting, done };
    using clock = loop::clock;

    void on_ready(load_peer& peer) override;
    void on_subscribed(load_peer& peer) override;
    void on_delivery(load_peer& peer, std::string_view payload) override;
    void on_acknowledged(load_peer& peer, proto::packet_id id, bool refused) override;
    void on_lost(load_peer& peer, const std::string& why) override;

    // Peers: the publishers, one per channel; then the subscribers, by place: stuck, slow, those who read well, the
    // others.
    std::uint32_t place(const load_peer& peer) const { return peer.number() - channels; }
    load_peer& at(std::uint32_t place) { return *peers_[channels + place]; }
    std::uint32_t behind() const { return options_.stuck + options_.slow; }
    bool falls_behind(std::uint32_t place) const { return place < behind(); }
    bool has(std::uint32_t place, std::uint32_t which) const;
    void open_more();
    void subscribe_all();
    void start_load();
    void let_slow_ones_read();
    void sample_memory();
    void end_load_when_done();
    void mark(clock::duration patience);
    bool all_have_last_marker() const;
    void verify();
    void end(const std::string& error);

    crowd_options options_;
    process_meter broker_;
    source_addresses sources_;
    loop loop_;
    stage stage_ = stage::connecting;
    std::vector<std::unique_ptr<load_peer>> peers_;
    std::vector<outgoing> out_;              // by channel
    std::vector<sequence_checker> checkers_; // by place and channel
    std::vector<std::uint64_t> marked_;      // by place: one after the last marker that it has seen
    std::uint32_t opened_ = 0;
    std::uint32_t ready_ = 0;
    std::uint32_t subscribed_ = 0;
    std::uint32_t slow_turn_ = 0;
    clock::time_point loaded_from_;
    crowd_report report_;
};

} // namespace fb::fleet
