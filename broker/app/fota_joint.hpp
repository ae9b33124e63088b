// Where broker and FOTA meet, and the only place that knows both: FOTA topics and peers in, commands and chunks out.
//
// on_local() and on_peer() run on shard threads and only hand over; the broker_port functions run on the FOTA thread.
// The broker may serve before FOTA does, when the database cannot be reached at the start: reports then go into the
// spool, and who is connected is remembered for FOTA.
#pragma once

#include <atomic>
#include <condition_variable>
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

class report_spool;

/// What the in-process client subscribes to.
std::vector<std::string> fota_filters();

class fota_joint final : public fota::broker_port {
  public:
    explicit fota_joint(std::uint32_t payload_bytes_max)
        : payload_bytes_max_(payload_bytes_max) {}

    /// Before the broker starts. `spool` is where reports go while there is no FOTA; null: they are refused.
    void connect(net::broker& broker, report_spool* spool) {
        broker_ = &broker;
        spool_ = spool;
    }

    /// FOTA is about to be made, and reads what is in the spool: from now on reports wait here. Returns when those
    /// before are on the disk.
    void hold_reports();
    /// It could not be made.
    void let_reports_go();
    /// It was made. Any time, once.
    void connect(fota::fota_thread& fota);

    void on_local(core::local_delivery&& d);
    void on_peer(core::peer_event&& e);

    void publish_live(std::string_view topic, std::string payload, std::uint32_t expiry_s) override;
    void deliver(chunk c) override;
    void acknowledge(fota::ack_token token, fota::verdict v, std::string_view reason) override;

  private:
    struct early_peer {
        fota::peer who;
        std::vector<std::string> filters; // that match its update topic
    };

    bool before_fota(const fota::report& r);
    void keep(const fota::report& r);
    bool before_fota(const core::peer_event& e, const fota::peer& who);
    static void post(fota::fota_thread& fota, const fota::report& r);
    void post_connected(fota::fota_thread& fota, const fota::peer& who);
    void post_subscribed(fota::fota_thread& fota, const fota::peer& who, const std::string& filter);
    fota::ack_token remember(const core::ack_token& token);

    const std::uint32_t payload_bytes_max_;
    net::broker* broker_ = nullptr;
    report_spool* spool_ = nullptr;
    std::atomic<fota::fota_thread*> fota_{nullptr}; // set under early_mutex_

    /// Filters of each connection that match its device's update topic. FOTA thread only.
    std::map<fota::connection_ref, std::vector<std::string>> update_filters_;

    std::mutex early_mutex_; // protects the next five
    std::map<fota::connection_ref, early_peer> early_peers_;
    bool holding_ = false;
    std::vector<fota::report> held_;
    std::size_t keeping_ = 0; // on their way into the spool
    std::condition_variable kept_;

    std::mutex mutex_; // protects tokens_ and next_token_
    std::unordered_map<std::uint64_t, core::ack_token> tokens_;
    std::uint64_t next_token_ = 1;
};

} // namespace fb::app
