// One shard: a thread with its own unlocked io_context, its engine, its listeners and connections.
//
// A turn: wait for one event, take at most 256 more ready ones, drain the inbox, act on the engine's effects, flush the
// connections that have new output. Only post() may be called from other threads.
//
// Invariants:
// (1) A connection that is not free is always waited for: by a readiness wait, a list of this shard (ready_, held_,
// to_flush_), a message on its way here, or the engine (paused). Those before serving and after it have a deadline too.
// (2) Handlers and messages name a slot and its generation: what comes too late finds nobody.
// (3) The engine never calls back: while it works it only fills effects_, so references to connections stay good.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "broker/core/engine.hpp"
#include "broker/net/clock_watch.hpp"
#include "broker/net/connection.hpp"
#include "broker/net/handshake_pool.hpp"
#include "broker/net/inbox.hpp"
#include "broker/net/log_budget.hpp"
#include "broker/net/readiness.hpp"
#include "broker/net/settings.hpp"
#include "broker/net/shard_messages.hpp"
#include "broker/net/system_topics.hpp"

namespace fb::net {

/// What the network side counts beside the engine; written by the shard's thread.
struct net_counters {
    core::counter accepted;
    core::counter accept_no_descriptors; // EMFILE survived
    core::counter address_refused;       // connections_per_address_max
    core::counter pending_dropped;       // said nothing and made room for others
    core::counter tls_handshakes;
    core::counter tls_steps; // of handshakes, with the pool
    core::counter tls_resumed;
    core::counter tls_failed;
    core::counter proxy_refused; // PROXY headers missing or wrong
    core::counter websocket_upgrades;
    core::counter websocket_refused; // upgrade requests
    core::counter websocket_broken;  // ended for breaking the rules of frames
    core::counter moved;             // connections handed to their home shard
    core::counter turns;
};

/// The other shards, as one shard reaches them.
class shard_peers {
  public:
    virtual ~shard_peers() = default;
    virtual void post(core::shard_id to, shard_message m) = 0;
    virtual void post_all(core::shard_id to, std::vector<shard_message>& batch, std::size_t bytes) = 0;
    /// What is new under $SYS; for shard 0 only.
    virtual std::vector<system_value> system_values(std::int64_t mono_ms) = 0;
    virtual bool congested() const = 0; // some inbox or the state store is past its mark: read no more for now
};

class shard final : private core::crossing_port {
  public:
    shard(const broker_settings& settings, core::engine_config config, core::shared_state shared,
          const broker_hooks& hooks, shard_peers& peers, handshake_pool& pool, address_counts& addresses);
    ~shard();

    core::engine& engine() noexcept { return engine_; } // before start() only
    const core::counters& statistics() const noexcept { return engine_.statistics(); }
    const net_counters& net_statistics() const noexcept { return counters_; }
    bool congested() const noexcept { return inbox_.congested(); }

    /// Takes the listening descriptor. Before start().
    void listen(int fd, const listener_settings& l);
    void start();
    void post(shard_message m);                                                                            // any thread
    void post_all(std::vector<shard_message>& batch, std::size_t bytes) { inbox_.push_all(batch, bytes); } // any thread
    void join();

  private:
    // shard.cpp: the loop
    void run();
    void arm_wake();
    void arm_connections();
    void happened(const readiness::event& e);
    void turn();
    void wait();
    void work();
    bool over() const;
    void drain_inbox();
    void handle(shard_message& m);
    void act_on_effects();
    void hand_out_notices();
    void arm_timer();
    void publish_system_topics(std::int64_t mono_ms);
    void begin_stop();
    void send(core::shard_id to, core::crossing what) override;
    void deliver_sent() override;
    void deliver_sent(core::shard_id to);
    connection* find(std::uint32_t slot, std::uint32_t generation);
    connection* make_connection(transport t, address_lease address);
    void enter(connection& c, stage next);
    void destroy(connection& c);
    const core::instant& now() const noexcept { return now_; }
    void tick();
    bool may_log() { return log_budget_.allow(now_.mono_ms); }
    void tell_left_out();
    void tell_clock_jump();

    // shard_accept.cpp: from accept to the first packet
    void arm_accept(std::size_t listener_no);
    void accept_ready(std::size_t listener_no);
    bool refuse_one(int listening);
    void resume_accepting(std::int64_t mono_ms);
    bool room_for_caller(std::int64_t mono_ms);
    connection* oldest_pending();
    std::int64_t next_accept_ms();
    void adopt(int fd, const listener_settings& l);
    bool admit(connection& c);
    void begin(connection& c);
    void handshake_ready(connection& c);
    void handshake_done(handshake_step& step);
    bool secured(connection& c);
    bool identify(connection& c);
    void first_packet_ready(connection& c);
    void gone_early(connection& c);
    void place(connection& c, std::string bytes);
    void serve(connection& c, std::string_view bytes);
    void pass_deadlines(std::int64_t mono_ms);
    std::int64_t next_deadline_ms();
    std::int64_t connect_timeout_ms() const { return config_.limits.connect_timeout_s * 1000ll; }

    // shard_preamble.cpp: what comes before MQTT
    void proxy_header_ready(connection& c);
    void upgrade_ready(connection& c);
    void answered(connection& c, const upgrade_answer& answer);

    // shard_io.cpp: reading, writing, closing
    void arm_read(connection& c);
    void arm_write(connection& c);
    void readable(connection& c);
    void writable(connection& c);
    tls_result read(connection& c, std::span<char> room);
    void read_some(connection& c);
    void read_ended(connection& c, tls_status how);
    void wait_to_read(connection& c, tls_status how);
    void feed(connection& c, std::string_view bytes);
    void flush_all();
    void flush(connection& c);
    void transport_lost(connection& c);
    void all_sent(connection& c);
    void close(const core::close_request& r);
    void linger(connection& c);
    void finish(connection& c);
    void discard(connection& c);

    struct deadline {
        std::int64_t at_ms = 0;
        std::uint32_t slot = 0;
        std::uint32_t generation = 0;
        stage applies_to{}; // closing or lingering; unused for those pending
    };
    struct listener_state {
        descriptor watch;
        const listener_settings* settings;
        bool armed = false;
    };

    const broker_settings& settings_;
    const broker_hooks& hooks_;
    shard_peers& peers_;
    handshake_pool& pool_;
    address_counts& addresses_;
    const core::engine_config config_;

    boost::asio::io_context io_;
    boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>,
                                      executor>
        timer_;
    std::int64_t timer_at_ms_ = core::never;
    std::int64_t system_due_ms_ = core::never; // shard 0: $SYS
    readiness readiness_;
    descriptor connections_ready_; // of readiness_, which owns it
    int wake_fd_;
    descriptor wake_;
    int reserve_fd_; // given up for a moment when descriptors run out, to be able to refuse politely
    std::vector<listener_state> listeners_;

    core::effects effects_;
    core::engine engine_;
    net_counters counters_;
    inbox<shard_message> inbox_;
    std::vector<shard_message> arrived_;
    struct outgoing_batch {
        std::vector<shard_message> messages;
        std::size_t bytes = 0;
    };
    std::vector<outgoing_batch> outgoing_; // crossings, by shard: leave together when a turn's reading is done
    clock_watch clock_;                    // shard 0 tells of it
    core::instant now_;                    // when the turn, or the event it began with, was first seen

    std::deque<connection> connections_;
    std::vector<std::uint32_t> free_connections_;
    std::size_t connection_count_ = 0;
    std::size_t pending_count_ = 0; // is_pending()
    std::size_t in_pool_ = 0;
    bool accepting_paused_ = false; // some listener is not armed
    std::int64_t accept_again_ms_ = 0;
    std::int64_t next_warning_ms_ = 0; // of those that one line a second tells enough of
    log_budget log_budget_{20};
    std::vector<std::uint32_t> by_engine_slot_;
    std::deque<deadline> connect_deadlines_; // each list has one time-out, so it is in order
    std::deque<deadline> linger_deadlines_;
    struct waiting {
        std::uint32_t slot = 0;
        std::uint32_t generation = 0;
    };
    std::vector<waiting> ready_; // has something to read: goes on in the next turn
    std::vector<waiting> held_;  // stopped because another shard or the state store cannot keep up
    std::deque<core::connection_handle> to_flush_;

    std::array<char, 64 * 1024> read_buffer_;
    std::array<char, 16 * 1024> record_buffer_;
    bool stopping_ = false;
    std::size_t peers_running_; // shards that may still send what their clients published
    std::int64_t stop_at_ms_ = core::never;
    std::thread thread_;
};

} // namespace fb::net
