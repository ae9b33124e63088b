#include "bench/fleet/load_run.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>

#include "bench/fleet/phase.hpp"

namespace fb::fleet {
namespace {

constexpr std::uint32_t packet_ids = 65535;

proto::packet_id id_of(std::uint64_t sequence) { return static_cast<proto::packet_id>(sequence % packet_ids + 1); }

} // namespace

load_run::load_run(load_options options)
    : options_(std::move(options))
    , broker_(options_.broker_pid) {
    const auto& o = options_;
    if (o.publishers == 0 || o.subscribers == 0) throw std::runtime_error("needs a publisher and a subscriber");
    if (o.shape == load_shape::pairs && o.publishers != o.subscribers)
        throw std::runtime_error("pairs needs as many subscribers as publishers");
    if (o.payload_bytes < sizeof(message_head)) throw std::runtime_error("the payload needs at least 24 bytes");
    if (o.inflight == 0 || o.inflight > 10'000) throw std::runtime_error("inflight is from 1 to 10000");
    filler_.run = this;
    for (std::uint32_t i = 0; i < o.publishers + o.subscribers; ++i) {
        auto peer = o.peer;
        peer.client_id += std::to_string(i);
        peer.keep_session = o.keep_sessions && i >= o.publishers;
        peers_.push_back(std::make_unique<load_peer>(loop_, std::move(peer), i, static_cast<peer_events&>(*this)));
    }
    windows_.resize(o.publishers);
    for (auto& w : windows_) {
        w.awaited.resize(std::bit_ceil(o.inflight));
        w.sent_ns.resize(w.awaited.size());
    }
    if (o.shape == load_shape::spread) spread_.emplace(o.topic_prefix, o.filters, o.subscribers, o.publishers);
    checkers_.resize(o.shape == load_shape::pairs ? o.publishers : std::size_t{o.publishers} * o.subscribers);
}

load_report load_run::run(const volatile int* interrupted) {
    open_more();
    loop_.after(from_seconds(options_.timeout_seconds), [this] { fail("timed out"); });
    loop_.run(interrupted);
    if (stage_ != stage::done && report_.error.empty()) report_.error = "interrupted";
    stage_ = stage::done;
    verify();
    for (auto& peer : peers_) peer->close();
    return report_;
}

std::string load_run::topic_of(std::uint32_t publisher) const {
    return options_.topic_prefix + "/p" + std::to_string(publisher);
}

std::vector<std::string> load_run::filters_of(std::uint32_t subscriber) const {
    if (spread_) return spread_->filters_of(subscriber);
    if (options_.shape == load_shape::pairs) return {topic_of(subscriber)};
    return {options_.publishers == 1 ? topic_of(0) : options_.topic_prefix + "/+"};
}

sequence_checker* load_run::checker(std::uint32_t subscriber, std::uint32_t publisher) {
    if (publisher >= options_.publishers) return nullptr;
    if (options_.shape != load_shape::pairs)
        return &checkers_[std::size_t{subscriber} * options_.publishers + publisher];
    return subscriber == publisher ? &checkers_[publisher] : nullptr;
}

/// Nothing for a message that this subscriber should not have.
std::optional<sequence_checker::verdict> load_run::check(std::uint32_t subscriber, const message_head& head) {
    auto* known = checker(subscriber, head.publisher);
    if (known == nullptr || (spread_ && spread_->subscriber_of(head.sequence) != subscriber)) return std::nullopt;
    return known->take(spread_ ? spread_->turn_of(head.sequence) : head.sequence);
}

void load_run::open_more() {
    while (opened_ < peers_.size() && opened_ - ready_ < connecting_max) peers_[opened_++]->open();
}

void load_run::on_ready(load_peer&) {
    ++ready_;
    open_more();
    if (ready_ == peers_.size()) subscribe_all();
}

void load_run::subscribe_all() {
    stage_ = stage::subscribing;
    for (std::uint32_t i = 0; i < options_.subscribers; ++i)
        peers_[options_.publishers + i]->subscribe(filters_of(i), options_.quality);
}

void load_run::on_subscribed(load_peer&) {
    if (++subscribed_ == options_.subscribers) start_publishing();
}

void load_run::start_publishing() {
    stage_ = stage::warming_up;
    for (std::uint32_t i = 0; i < options_.publishers; ++i) {
        peers_[i]->prepare_publish(topic_of(i), options_.quality, options_.payload_bytes);
        touch(i);
    }
    if (options_.rate_per_second > 0) {
        rate_ticked_ns_ = clock_ns();
        tick_rate();
    }
    if (options_.messages > 0) return start_measuring();
    loop_.after(from_seconds(options_.warm_up_seconds), [this] { start_measuring(); });
}

void load_run::start_measuring() {
    stage_ = stage::measuring;
    measured_from_ns_ = clock_ns();
    report_.broker_cpu_ns = broker_.cpu_ns();
    report_.own_cpu_ns = own_cpu_ns();
    if (options_.messages == 0) loop_.after(from_seconds(options_.seconds), [this] { stop_measuring(); });
}

void load_run::stop_measuring() {
    if (stage_ != stage::measuring) return;
    report_.seconds = static_cast<double>(clock_ns() - measured_from_ns_) / 1e9;
    report_.broker_cpu_ns = broker_.cpu_ns() - report_.broker_cpu_ns;
    report_.own_cpu_ns = own_cpu_ns() - report_.own_cpu_ns;
    stage_ = stage::draining;
    finish_if_drained();
}

void load_run::finish_if_drained() {
    for (const auto& w : windows_)
        if (w.first != w.next || (options_.messages > 0 && w.next < options_.messages)) return;
    if (stage_ == stage::measuring) return stop_measuring(); // by count: that was the last one
    if (stage_ != stage::draining) return;
    stage_ = stage::done;
    // A moment for what must not come: a message delivered twice.
    loop_.after(std::chrono::milliseconds(100), [this] { loop_.stop(); });
}

void load_run::fail(const std::string& why) {
    if (stage_ == stage::done) return;
    if (report_.error.empty()) report_.error = why;
    loop_.stop();
}

void load_run::on_lost(load_peer& peer, const std::string& why) {
    fail("connection " + std::to_string(peer.number()) + " lost: " + why);
}

void load_run::on_delivery(load_peer& peer, std::string_view payload) {
    const auto head = read_head(payload, options_.payload_bytes);
    const auto verdict = head && !is_publisher(peer) ? check(peer.number() - options_.publishers, *head) : std::nullopt;
    if (!verdict) {
        ++report_.checked.strays;
        return;
    }
    switch (*verdict) {
    case sequence_checker::verdict::next: break;
    case sequence_checker::verdict::reordered: ++report_.checked.reordered; break;
    case sequence_checker::verdict::doubled: ++report_.checked.doubled; return;
    }
    if (stage_ == stage::measuring) {
        ++report_.delivered;
        report_.latency.add(clock_ns() - head->sent_ns);
    }
    arrived(head->publisher, head->sequence);
}

void load_run::on_acknowledged(load_peer& peer, proto::packet_id id, bool refused) {
    if (!is_publisher(peer)) return;
    if (refused) ++report_.checked.refused;
    const auto& w = windows_[peer.number()];
    // Ids go round with the sequence numbers, so an id names one message of the window.
    const auto sequence = w.first + (id + packet_ids - id_of(w.first)) % packet_ids;
    if (sequence >= w.next) return;
    if (stage_ == stage::measuring)
        report_.acknowledgements.add(clock_ns() - w.sent_ns[sequence & (w.sent_ns.size() - 1)]);
    arrived(peer.number(), sequence);
}

void load_run::arrived(std::uint32_t publisher, std::uint64_t sequence) {
    auto& w = windows_[publisher];
    if (sequence < w.first || sequence >= w.next) return;
    const auto mask = w.awaited.size() - 1;
    --w.awaited[sequence & mask];
    if (sequence != w.first) return;
    while (w.first != w.next && w.awaited[w.first & mask] == 0) ++w.first;
    touch(publisher);
}

void load_run::touch(std::uint32_t publisher) {
    auto& w = windows_[publisher];
    if (w.touched) return;
    w.touched = true;
    if (touched_.empty()) loop_.at_turn_end(filler_);
    touched_.push_back(publisher);
}

void load_run::fill_touched() {
    for (const auto publisher : touched_) {
        windows_[publisher].touched = false;
        if (options_.rate_per_second == 0) fill(publisher);
    }
    touched_.clear();
    if (stage_ == stage::draining || (options_.messages > 0 && stage_ == stage::measuring)) finish_if_drained();
}

void load_run::fill(std::uint32_t publisher) {
    while (may_publish(publisher)) publish_next(publisher);
}

bool load_run::may_publish(std::uint32_t publisher) const {
    if (stage_ != stage::warming_up && stage_ != stage::measuring) return false;
    const auto& w = windows_[publisher];
    return w.next - w.first < options_.inflight && (options_.messages == 0 || w.next < options_.messages);
}

void load_run::publish_next(std::uint32_t publisher) {
    auto& w = windows_[publisher];
    auto& peer = *peers_[publisher];
    const message_head head{.sequence = w.next++, .sent_ns = clock_ns(), .publisher = publisher};
    const auto place = head.sequence & (w.awaited.size() - 1);
    w.awaited[place] = audience_size() + (options_.quality == proto::qos::at_most_once ? 0U : 1U);
    w.sent_ns[place] = head.sent_ns;
    if (spread_)
        peer.prepare_publish(spread_->topic_of(publisher, head.sequence), options_.quality, options_.payload_bytes);
    peer.publish(id_of(head.sequence), head.bytes());
}

void load_run::tick_rate() {
    if (stage_ != stage::warming_up && stage_ != stage::measuring) return;
    const auto now = clock_ns();
    rate_credit_ += options_.rate_per_second * static_cast<double>(now - rate_ticked_ns_) / 1e9;
    // What could not be sent in half a second is not caught up with.
    rate_credit_ = std::min(rate_credit_, std::max(1.0, options_.rate_per_second / 2));
    rate_ticked_ns_ = now;
    // One message at a time each, in turn, as many senders that know nothing of each other would.
    for (std::uint32_t full = 0; full < options_.publishers && rate_credit_ >= 1;) {
        const auto publisher = rate_turn_++ % options_.publishers;
        full = may_publish(publisher) ? 0 : full + 1;
        if (full > 0) continue;
        rate_credit_ -= 1;
        publish_next(publisher);
    }
    loop_.after(std::chrono::milliseconds(1), [this] { tick_rate(); });
}

void load_run::verify() {
    for (const auto& w : windows_) report_.published += w.next;
    for (std::uint32_t s = 0; s < options_.subscribers; ++s)
        for (std::uint32_t p = 0; p < options_.publishers; ++p)
            if (const auto* c = checker(s, p))
                report_.checked.lost += c->lost(spread_ ? spread_->due(s, windows_[p].next) : windows_[p].next);
}

} // namespace fb::fleet
