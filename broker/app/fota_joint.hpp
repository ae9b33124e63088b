// Where broker and FOTA meet, and the only place that knows both: FOTA topics and peers in, commands and chunks out.
//
// on_local() and on_peer() run on shard threads and only hand over; the broker_port functions run on the FOTA thread.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "broker/core/effects.hpp"
#include "fota/fota_thread.hpp"
#include "fota/ports.hpp"

namespace fb::net {
class broker;
}

namespace fb::app {

/// What the in-process client subscribes to.
std::vector<std::string> fota_filters();

class fota_joint final : public fota::broker_port {
  public:
    explicit fota_joint(std::uint32_t payload_bytes_max)
        : payload_bytes_max_(payload_bytes_max) {}

    /// Both before the broker starts.
    void connect(net::broker& broker) { broker_ = &broker; }
    void connect(fota::fota_thread& fota) { fota_ = &fota; }

    void on_local(core::local_delivery&& d);
    void on_peer(core::peer_event&& e);

    void publish_live(std::string_view topic, std::string payload, std::uint32_t expiry_s) override;
    void deliver(chunk c) override;
    void acknowledge(fota::ack_token token, fota::verdict v, std::string_view reason) override;

  private:
    fota::ack_token remember(const core::ack_token& token);

    const std::uint32_t payload_bytes_max_;
    net::broker* broker_ = nullptr;
    fota::fota_thread* fota_ = nullptr;

    /// Filters of each connection that match its device's update topic. FOTA thread only.
    std::map<fota::connection_ref, std::vector<std::string>> update_filters_;

    std::mutex mutex_; // protects tokens_ and next_token_
    std::unordered_map<std::uint64_t, core::ack_token> tokens_;
    std::uint64_t next_token_ = 1;
};

} // namespace fb::app
