// One MQTT connection of the load generator, as cheap as it can be: packets are recognised by hand and answered in
// place, a PUBLISH is a template with its id patched. For a client that handles everything see mqtt_client.
//
// Acknowledgements of what arrives are gathered by the stream and leave at the end of the turn.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/fleet/stream.hpp"
#include "proto/types.hpp"

namespace fb::fleet {

class load_peer;

/// A run opens no more connections at a time: as many as fit into any listener's backlog.
inline constexpr std::uint32_t connecting_max = 100;

struct peer_events {
    virtual void on_ready(load_peer& peer) = 0; // CONNACK
    virtual void on_subscribed(load_peer& peer) = 0;
    virtual void on_delivery(load_peer& peer, std::string_view payload) = 0;
    virtual void on_acknowledged(load_peer& peer, proto::packet_id id, bool refused) = 0; // PUBACK, PUBCOMP
    virtual void on_lost(load_peer& peer, const std::string& why) = 0;

  protected:
    ~peer_events() = default;
};

struct peer_options {
    socket_address broker;
    tls_choice tls;
    bool v5 = true;
    std::string client_id;
    std::uint16_t keep_alive_s = 0;
    bool keep_session = false; // the session outlives its connections
};

class load_peer final : stream_events {
  public:
    load_peer(loop& l, peer_options options, std::uint32_t number, peer_events& events);

    std::uint32_t number() const { return number_; }
    void open(const socket_address* from = nullptr);
    /// DISCONNECT and close.
    void close();
    void ping();
    /// For those who read slowly.
    stream& connection() { return stream_; }
    bool resumed() const { return stream_.resumed(); }
    void keep_session_in(ssl_session_ptr* place) { options_.tls.session = place; }

    /// In one packet; on_subscribed() when every filter is granted.
    void subscribe(const std::vector<std::string>& filters, proto::qos quality);
    /// The packet that publish() sends, with `payload_bytes` of payload.
    void prepare_publish(const std::string& topic, proto::qos quality, std::size_t payload_bytes, bool retain = false);
    /// `head` overwrites the first bytes of the payload. REQUIRES: prepare_publish, head fits.
    void publish(proto::packet_id id, std::string_view head);

  private:
    void on_open() override;
    void on_bytes(std::string_view bytes) override;
    void on_closed(const std::string& why) override { events_.on_lost(*this, why); }

    void handle(std::uint8_t first, std::string_view body);
    void handle_publish(std::uint8_t first, std::string_view body);
    void answer(char first, std::string_view id);

    peer_options options_;
    std::uint32_t number_;
    peer_events& events_;
    stream stream_;
    std::string input_;
    std::string packet_;    // the prepared PUBLISH
    std::size_t id_at_ = 0; // 0: QoS 0, no id
    std::size_t payload_at_ = 0;
    std::vector<bool> received_ids_; // QoS 2, between PUBLISH and PUBREL
};

} // namespace fb::fleet
