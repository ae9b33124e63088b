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
    if (options_.messages_large != 0 && options_.messages_large < options_.messages_each)
        throw std::runtime_error("a large session has no fewer messages than the others");
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
    out.topic_of = [this](std::uint64_t message) { return topic_of(session_of(message)); };
    return out;
}

std::uint64_t offline_run::messages() const {
    const auto more = due(0) - options_.messages_each;
    return messages_of_all() + more * options_.publishers;
}

std::uint64_t offline_run::session_of(std::uint64_t message) const {
    return message % (message < messages_of_all() ? options_.sessions : options_.publishers);
}

std::uint64_t offline_run::place_of(std::uint64_t message) const {
    if (message < messages_of_all()) return message / options_.sessions;
    return options_.messages_each + (message - messages_of_all()) / options_.publishers;
}

std::uint64_t offline_run::due(std::uint64_t session) const {
    return session < options_.publishers && options_.messages_large != 0 ? options_.messages_large
                                                                         : options_.messages_each;
}

std::string offline_run::topic_of(std::uint64_t session) const {
    return options_.topic_prefix + "/s" + std::to_string(session);
}

offline_report offline_run::run(const volatile int* interrupted) {
    if (options_.part == stored_part::collect)
        collect();
    else
        open_more();
    loop_.after(from_seconds(options_.timeout_seconds), [this] { end("timed out"); });
    loop_.run(interrupted);
    if (!ended_) report_.error = "interrupted";
    report_.drained = draining_.measured();
    report_.checked.refused = feed_.refused();
    for (std::size_t i = 0; i < checkers_.size() && options_.part != stored_part::fill; ++i)
        report_.checked.lost += checkers_[i].lost(due(i));
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
    if (options_.part == stored_part::fill) return end("");
    collect();
}

void offline_run::collect() {
    back_ = true;
    opened_ = ready_ = 0;
    draining_.begin();
    open_more();
}

void offline_run::on_delivery(load_peer& peer, std::string_view payload) {
    const auto head = read_head(payload, options_.payload_bytes);
    if (!back_ || !head || head->sequence >= messages() || session_of(head->sequence) != peer.number()) {
        ++report_.checked.strays;
        return;
    }
    switch (checkers_[peer.number()].take(place_of(head->sequence))) {
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
