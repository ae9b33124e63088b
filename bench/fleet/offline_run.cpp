#include "bench/fleet/offline_run.hpp"

#include <stdexcept>

#include "bench/fleet/message_head.hpp"

namespace fb::fleet {

offline_run::offline_run(offline_options options)
    : options_(std::move(options))
    , broker_(options_.broker_pid)
    , feed_(loop_, for_feed(), *this)
    , draining_(loop_, broker_, messages(), [this] { end(""); })
    , checkers_(options_.sessions) {
    if (options_.sessions % options_.publishers != 0)
        throw std::runtime_error("the sessions must be a multiple of the publishers");
    for (std::uint32_t i = 0; i < options_.sessions; ++i) {
        auto peer = options_.peer;
        peer.client_id += "session" + std::to_string(i);
        peer.keep_session = true;
        sessions_.push_back(std::make_unique<load_peer>(loop_, std::move(peer), i, static_cast<peer_events&>(*this)));
    }
}

feed_options offline_run::for_feed() const {
    feed_options out;
    out.peer = options_.peer;
    out.messages = messages();
    out.publishers = options_.publishers;
    out.inflight = options_.inflight;
    out.payload_bytes = options_.payload_bytes;
    out.topic_of = [this](std::uint64_t message) { return topic_of(message); };
    return out;
}

/// Message m is the (m / sessions)th of session m % sessions.
std::string offline_run::topic_of(std::uint64_t message) const {
    return options_.topic_prefix + "/s" + std::to_string(message % options_.sessions);
}

offline_report offline_run::run(const volatile int* interrupted) {
    open_more();
    loop_.after(from_seconds(options_.timeout_seconds), [this] { end("timed out"); });
    loop_.run(interrupted);
    if (!ended_) report_.error = "interrupted";
    report_.drained = draining_.measured();
    report_.checked.refused = feed_.refused();
    for (const auto& c : checkers_) report_.checked.lost += c.lost(options_.messages_each);
    return report_;
}

void offline_run::open_more() {
    while (opened_ < sessions_.size() && opened_ - ready_ < connecting_max) sessions_[opened_++]->open();
}

void offline_run::on_ready(load_peer& peer) {
    ++ready_;
    open_more();
    if (!back_) peer.subscribe({topic_of(peer.number())}, proto::qos::at_least_once);
}

void offline_run::on_subscribed(load_peer& peer) {
    peer.close();
    if (++away_ < sessions_.size()) return;
    // A moment for the broker to see that they are gone.
    loop_.after(phase::settle, [this] { feed_.connect(); });
}

void offline_run::on_feed_ready() {
    report_.queued.begin(broker_);
    feed_.start();
}

void offline_run::on_feed_done() {
    report_.queued.finished(messages());
    loop_.after(phase::settle, [this] { come_back(); });
}

void offline_run::come_back() {
    report_.queued.settled(broker_);
    feed_.close();
    back_ = true;
    opened_ = ready_ = 0;
    draining_.begin();
    open_more();
}

void offline_run::on_delivery(load_peer& peer, std::string_view payload) {
    const auto head = read_head(payload, options_.payload_bytes);
    if (!back_ || !head || head->sequence % options_.sessions != peer.number() || head->sequence >= messages()) {
        ++report_.checked.strays;
        return;
    }
    switch (checkers_[peer.number()].take(head->sequence / options_.sessions)) {
    case sequence_checker::verdict::next: break;
    case sequence_checker::verdict::reordered: ++report_.checked.reordered; break;
    case sequence_checker::verdict::doubled: ++report_.checked.doubled; return;
    }
    draining_.came();
}

void offline_run::on_lost(load_peer& peer, const std::string& why) {
    end("session " + std::to_string(peer.number()) + " lost: " + why);
}

void offline_run::end(const std::string& error) {
    if (ended_) return;
    ended_ = true;
    report_.error = error;
    loop_.stop();
}

} // namespace fb::fleet
