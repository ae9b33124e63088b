// The broker as the executable sees it: shards, their shared structures, listeners. Everything but start-up may be
// called from any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/net/settings.hpp"
#include "broker/net/shard.hpp"
#include "broker/net/unix_socket.hpp"

namespace fb::net {

class broker final : private shard_peers {
  public:
    broker(broker_settings settings, broker_hooks hooks);
    ~broker();

    // --- Start-up, in this order, on one thread ---

    /// Opens the listening sockets; throws std::runtime_error that names the address. Who connects from now on is
    /// answered after start().
    void bind();
    void number_from(std::uint64_t first_session, std::uint64_t first_message) noexcept;
    core::session_handle restore(core::restored_session s);
    void restore_retained(const core::message_ptr& m, std::uint64_t version);
    void start();

    // --- Running ---

    void committed(core::shard_id shard, std::uint64_t serial);
    /// To every shard: what would have to be stored is refused from now on, or not any more.
    void store_state(bool refuses);
    void verdict(const core::ack_token& token, proto::reason_code reason, std::string text);
    void publish_live(core::local_publish p);
    void deliver(core::direct_delivery d);
    /// As core::engine::restore_queue().
    void restore_queue(const core::session_handle& s, std::vector<core::delivery> queue);

    /// Says DISCONNECT 0x8B to everybody, waits at most 2 s for them, ends the threads. All there is to keep has been
    /// handed to the persist hook when this returns, also what shards published to each other (wills).
    void stop();

    /// Appends Prometheus' text format.
    void append_metrics(std::string& out) const;
    /// "mqtts://127.0.0.1:8883", "ws://[::1]:8083/mqtt", "unix:///run/x", one per listener, with the real ports.
    std::vector<std::string> urls() const;

  private:
    void bind(listener_settings& l);
    void post(core::shard_id to, shard_message m) override;
    void post_all(core::shard_id to, std::vector<shard_message>& batch, std::size_t bytes) override;
    bool congested() const override;
    std::vector<system_value> system_values(std::int64_t mono_ms) override;
    std::uint64_t sum(core::counter core::counters::*which) const;

    broker_settings settings_;
    broker_hooks hooks_;
    core::routing_index index_;
    core::retained retained_;
    core::shared_counts counts_;
    address_counts addresses_;
    std::vector<std::unique_ptr<shard>> shards_;
    std::vector<unix_socket_file> socket_files_;
    std::unique_ptr<handshake_pool> pool_;
    std::optional<system_topics> system_topics_; // of shard 0's thread
    bool stopped_ = false;
};

} // namespace fb::net
