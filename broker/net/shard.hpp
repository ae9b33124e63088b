// One shard: a thread with its own unlocked io_context, its engine, its listeners and connections.
//
// A turn: wait for one event, take at most 256 more ready ones, drain the inbox, act on the engine's effects, flush the
// connections that have new output (one write each). Only post() may be called from other threads.
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
#include "broker/net/connection.hpp"
#include "broker/net/handshake_pool.hpp"
#include "broker/net/inbox.hpp"
#include "broker/net/settings.hpp"
#include "broker/net/shard_messages.hpp"

namespace fb::net {

/// What the network side counts beside the engine; written by the shard's thread.
struct net_counters {
    core::counter accepted;
    core::counter accept_no_descriptors; // EMFILE survived
    core::counter tls_handshakes;
    core::counter tls_resumed;
    core::counter tls_failed;
    core::counter moved;                 // connections handed to their home shard
    core::counter turns;
};

/// The other shards, as one shard reaches them.
class shard_peers {
  public:
    virtual ~shard_peers() = default;
    virtual void post(core::shard_id to, shard_message m) = 0;
    virtual bool congested() const = 0; // some inbox is past its mark: read no more from publishers
};

class shard final : private core::crossing_port {
  public:
    shard(const broker_settings& settings, core::engine_config config, core::shared_state shared, const broker_hooks& hooks,
          shard_peers& peers, handshake_pool& pool, std::vector<int> listening);
    ~shard();

    core::engine& engine() noexcept { return engine_; } // before start() only
    const core::counters& statistics() const noexcept { return engine_.statistics(); }
    const net_counters& net_statistics() const noexcept { return counters_; }
    bool congested() const noexcept { return inbox_.congested(); }

    void start();
    void post(shard_message m) { inbox_.push(std::move(m)); } // any thread
    void join();

  private:
    // shard.cpp: the loop
    void run();
    void turn();
    void drain_inbox();
    void handle(shard_message& m);
    void act_on_effects();
    void hand_out_notices();
    void arm_timer();
    void begin_stop();
    void send(core::shard_id to, core::crossing what) override;
    connection* find(std::uint32_t slot, std::uint32_t generation);
    connection& make_connection(transport t);
    void destroy(connection& c);
    core::instant now() const;

    // shard_accept.cpp: from accept to the first packet
    void arm_accept(std::size_t listener_no);
    void accept_ready(std::size_t listener_no);
    void accept_without_descriptors(int listening);
    void adopt(int fd, const listener_settings& l);
    void handshake_ready(connection& c);
    void handshake_done(handshake_step& step);
    bool identify(connection& c);
    void first_packet_ready(connection& c);
    void place(connection& c, std::string bytes);
    void serve(connection& c, std::string_view bytes);
    void pass_deadlines(std::int64_t mono_ms);
    std::int64_t next_deadline_ms() const;

    // shard_io.cpp: reading, writing, closing
    void arm_read(connection& c);
    void arm_write(connection& c);
    void readable(connection& c);
    void read_some(connection& c);
    void feed(connection& c, std::string_view bytes);
    void flush_all();
    void flush(connection& c);
    void transport_lost(connection& c);
    void close(const core::close_request& r);
    void linger(connection& c);
    void discard(connection& c);

    struct deadline {
        std::int64_t at_ms = 0;
        std::uint32_t slot = 0;
        std::uint32_t generation = 0;
        stage applies_to{}; // handshaking stands for first_packet too
    };
    struct listener_state {
        descriptor watch;
        const listener_settings* settings;
    };

    const broker_settings& settings_;
    const broker_hooks& hooks_;
    shard_peers& peers_;
    handshake_pool& pool_;
    const core::engine_config config_;

    boost::asio::io_context io_;
    boost::asio::basic_waitable_timer<std::chrono::steady_clock, boost::asio::wait_traits<std::chrono::steady_clock>, executor> timer_;
    std::int64_t timer_at_ms_ = core::never;
    int wake_fd_;
    descriptor wake_;
    int reserve_fd_; // given up for a moment when descriptors run out, to be able to refuse politely
    std::vector<listener_state> listeners_;

    core::effects effects_;
    core::engine engine_;
    net_counters counters_;
    inbox<shard_message> inbox_;
    std::vector<shard_message> arrived_;

    std::deque<connection> connections_;
    std::vector<std::uint32_t> free_connections_;
    std::size_t connection_count_ = 0;
    std::size_t handshakes_ = 0;
    bool accepting_paused_ = false;
    std::vector<std::uint32_t> by_engine_slot_;
    std::deque<deadline> connect_deadlines_; // each list has one time-out, so it is in order
    std::deque<deadline> linger_deadlines_;
    std::vector<core::connection_handle> ready_; // stopped by the budget: goes on in the next turn
    std::deque<core::connection_handle> to_flush_;

    std::array<char, 64 * 1024> read_buffer_;
    std::array<char, 16 * 1024> record_buffer_;
    bool stopping_ = false;
    std::int64_t stop_at_ms_ = core::never;
    std::thread thread_;
};

} // namespace fb::net
