#include "bench/fleet/feed.hpp"

#include <stdexcept>

#include "bench/fleet/message_head.hpp"
#include "bench/fleet/phase.hpp"

namespace fb::fleet {

feed::feed(loop& l, feed_options options, feed_events& events)
    : options_(std::move(options))
    , events_(events) {
    const auto& o = options_;
    if (o.publishers == 0 || o.messages < o.publishers) throw std::runtime_error("needs a message per publisher");
    if (o.inflight == 0 || o.inflight > 10'000) throw std::runtime_error("inflight is from 1 to 10000");
    if (o.payload_bytes < sizeof(message_head)) throw std::runtime_error("the payload needs at least 24 bytes");
    for (std::uint32_t i = 0; i < o.publishers; ++i) {
        auto peer = o.peer;
        peer.client_id += "feed" + std::to_string(i);
        peers_.push_back(std::make_unique<load_peer>(l, std::move(peer), i, static_cast<peer_events&>(*this)));
        next_.push_back(i);
    }
}

void feed::connect() {
    for (auto& peer : peers_) peer->open();
}

void feed::start() {
    for (auto& peer : peers_)
        for (std::uint32_t i = 0; i < options_.inflight; ++i) publish_next(*peer);
}

void feed::close() {
    for (auto& peer : peers_) peer->close();
}

void feed::publish_next(load_peer& peer) {
    const auto message = next_[peer.number()];
    if (message >= options_.messages) return;
    next_[peer.number()] += options_.publishers;
    const auto turn = message / options_.publishers;
    const message_head head{.sequence = message, .sent_ns = clock_ns(), .publisher = peer.number()};
    peer.prepare_publish(options_.topic_of(message), proto::qos::at_least_once, options_.payload_bytes,
                         options_.retain);
    peer.publish(static_cast<proto::packet_id>(turn % 65535 + 1), head.bytes());
}

void feed::on_ready(load_peer&) {
    if (++ready_ == peers_.size()) events_.on_feed_ready();
}

void feed::on_acknowledged(load_peer& peer, proto::packet_id, bool refused) {
    if (refused) ++refused_;
    if (++acknowledged_ == options_.messages) return events_.on_feed_done();
    publish_next(peer);
}

void feed::on_lost(load_peer& peer, const std::string& why) {
    events_.on_feed_lost("publisher " + std::to_string(peer.number()) + " lost: " + why);
}

} // namespace fb::fleet
