// The MQTT side of a simulated device: one persistent session, reconnecting for ever with backoff and jitter.
//
// 1. A QoS 1 publish is kept until its PUBACK and sent again, marked as a duplicate, when the broker still has the
//    session; when the broker has lost it, the publish is dropped: on_connected() says again what is still true.
// 2. The PUBACK for an incoming QoS 1 message leaves after the handler has returned, so "acknowledged" means "acted
// on".
// 3. At most publishes_kept_max wait for their PUBACK; a publish beyond that, or while offline, is refused.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "bench/fleet/stream.hpp"
#include "proto/decode.hpp"
#include "proto/encode.hpp"

namespace fb::fleet {

struct mqtt_options {
    socket_address broker;
    tls_choice tls;
    proto::version version = proto::version::v5;
    std::string client_id;
    std::uint16_t keep_alive_s = 30;
    std::uint32_t session_expiry_s = 7 * 24 * 3600;
    std::string will_topic;
    std::string will_payload;
};

struct mqtt_events {
    virtual void on_connected() = 0;
    virtual void on_message(std::string_view topic, std::string_view payload) = 0;
    virtual void on_acknowledged(int tag, proto::reason_code reason) = 0;
    virtual void on_disconnected(const std::string& why) = 0;

  protected:
    ~mqtt_events() = default;
};

class mqtt_client final : stream_events {
  public:
    static constexpr std::size_t publishes_kept_max = 32;

    mqtt_client(loop& l, mqtt_options options, mqtt_events& events);
    ~mqtt_client() { stop(); }

    void start();
    /// Says DISCONNECT (so no will is published), closes and stays away.
    void stop();
    /// Closes without a word and connects again: what a lost link looks like.
    void cut();
    bool connected() const { return connected_; }

    bool publish(std::string_view topic, std::string_view payload, proto::qos quality, int tag);
    void subscribe(const std::vector<std::string>& filters);

  private:
    struct kept_publish {
        std::string bytes;
        int tag;
    };

    void on_open() override;
    void on_bytes(std::string_view bytes) override;
    void on_closed(const std::string& why) override;

    void handle(const proto::frame& f);
    void handle_connack(const proto::frame& f);
    void handle_publish(const proto::frame& f);
    std::optional<std::string> topic_of(const proto::publish& p);
    void send_kept_again();
    void give_up(const std::string& why);
    void reconnect_later();
    void keep_alive();
    proto::packet_id next_id();

    loop& loop_;
    mqtt_options options_;
    mqtt_events& events_;
    stream stream_;
    bool wanted_ = false;    // between start() and stop()
    bool connected_ = false; // CONNACK seen
    std::string input_;      // a packet that has not arrived whole
    std::map<proto::packet_id, kept_publish> kept_;
    proto::packet_id last_id_ = 0;
    std::map<std::uint16_t, std::string> aliases_; // topic aliases the broker has set on this connection
    bool heard_ = false;                           // something came since the last keep-alive check
    bool ping_sent_ = false;
    unsigned failures_ = 0;
    loop::timer_id timer_ = 0; // reconnect or keep-alive, never both
    std::minstd_rand random_;
};

/// 0.25 s doubled per failure in a row up to 30 s, then a random half of it taken off: a site whose power returns
/// does not knock all at once.
std::chrono::milliseconds reconnect_delay(unsigned failures, std::minstd_rand& random);

} // namespace fb::fleet
