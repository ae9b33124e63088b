// One load measurement: connects, subscribes, publishes in a closed loop, checks every delivery, and reads what the
// broker used meanwhile.
//
// A publisher has at most `inflight` messages on their way. A message has arrived when every subscriber that should
// have it has it and, above QoS 0, the broker has acknowledged it. So no broker is flooded, and none has to drop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/fleet/filter_spread.hpp"
#include "bench/fleet/histogram.hpp"
#include "bench/fleet/load_peer.hpp"
#include "bench/fleet/message_head.hpp"
#include "bench/fleet/process_meter.hpp"
#include "bench/fleet/sequence_checker.hpp"

namespace fb::fleet {

enum class load_shape {
    fan_in,  // N publishers, each on a topic of its own; every subscriber has all of them
    fan_out, // the same; meant for 1 publisher and many subscribers
    pairs,   // publisher i to subscriber i
    spread,  // each message to the one subscriber that has its topic among its many filters, see filter_spread
};

struct load_options {
    peer_options peer; // client ids are prefixed with peer.client_id
    load_shape shape = load_shape::pairs;
    proto::qos quality = proto::qos::at_most_once;
    std::uint32_t publishers = 1;
    std::uint32_t subscribers = 1;
    bool keep_sessions = false;     // the subscribers' sessions are persistent
    std::uint32_t filters = 10'000; // of all subscribers together; in spread
    std::uint64_t messages = 0;     // per publisher; 0: for `seconds`
    double seconds = 5;
    double warm_up_seconds = 0.5; // not measured; only with `seconds`
    double timeout_seconds = 120;
    std::uint32_t inflight = 10; // per publisher
    std::size_t payload_bytes = 64;
    double rate_per_second = 0; // of all publishers together; 0: as fast as it goes
    std::string topic_prefix = "bench";
    pid_t broker_pid = 0;
};

struct load_report {
    std::string error; // "" when it ran to its end
    verification checked;
    std::uint64_t published = 0; // warm-up included
    std::uint64_t delivered = 0; // while measuring, as what follows
    double seconds = 0;
    std::uint64_t broker_cpu_ns = 0;
    std::uint64_t own_cpu_ns = 0;
    histogram latency;          // of deliveries
    histogram acknowledgements; // above QoS 0: from the publish to its acknowledgement
};

class load_run final : peer_events {
  public:
    explicit load_run(load_options options);
    load_report run(const volatile int* interrupted);

  private:
    enum class stage { connecting, subscribing, warming_up, measuring, draining, done };

    /// A publisher's window: the messages from `first` up to `next` are on their way; each counts down what it awaits.
    struct window {
        std::uint64_t first = 0;
        std::uint64_t next = 0;
        std::vector<std::uint32_t> awaited; // ring over sequence numbers, as the next
        std::vector<std::uint64_t> sent_ns;
        bool touched = false;
    };

    void on_ready(load_peer& peer) override;
    void on_subscribed(load_peer& peer) override;
    void on_delivery(load_peer& peer, std::string_view payload) override;
    void on_acknowledged(load_peer& peer, proto::packet_id id, bool refused) override;
    void on_lost(load_peer& peer, const std::string& why) override;

    bool is_publisher(const load_peer& peer) const { return peer.number() < options_.publishers; }
    bool to_all() const { return options_.shape == load_shape::fan_in || options_.shape == load_shape::fan_out; }
    std::uint32_t audience_size() const { return to_all() ? options_.subscribers : 1; }
    sequence_checker* checker(std::uint32_t subscriber, std::uint32_t publisher);
    std::optional<sequence_checker::verdict> check(std::uint32_t subscriber, const message_head& head);
    std::string topic_of(std::uint32_t publisher) const;
    std::vector<std::string> filters_of(std::uint32_t subscriber) const;

    void open_more();
    void subscribe_all();
    void start_publishing();
    void start_measuring();
    void stop_measuring();
    void finish_if_drained();
    void verify();
    void fail(const std::string& why);

    void arrived(std::uint32_t publisher, std::uint64_t sequence);
    void touch(std::uint32_t publisher);
    void fill_touched();
    void fill(std::uint32_t publisher);
    bool may_publish(std::uint32_t publisher) const;
    void publish_next(std::uint32_t publisher);
    void tick_rate();

    /// Fills the windows that deliveries of this turn have opened, before the streams write.
    struct filler final : loop::watcher {
        load_run* run = nullptr;
        void on_ready(std::uint32_t) override {}
        void on_turn_end() override { run->fill_touched(); }
    };

    load_options options_;
    process_meter broker_;
    loop loop_;
    filler filler_;
    std::optional<filter_spread> spread_;
    stage stage_ = stage::connecting;
    std::vector<std::unique_ptr<load_peer>> peers_; // publishers, then subscribers
    std::vector<window> windows_;
    std::vector<sequence_checker> checkers_; // per subscriber and publisher; per pair in pairs
    std::vector<std::uint32_t> touched_;
    std::uint32_t opened_ = 0;
    std::uint32_t ready_ = 0;
    std::uint32_t subscribed_ = 0;
    double rate_credit_ = 0;
    std::uint64_t rate_ticked_ns_ = 0;
    std::uint32_t rate_turn_ = 0;
    std::uint64_t measured_from_ns_ = 0;
    load_report report_;
};

} // namespace fb::fleet
