#include "bench/fleet/crowd_run.hpp"

#include <algorithm>
#include <stdexcept>

#include "bench/fleet/message_head.hpp"

namespace fb::fleet {
namespace {

constexpr std::size_t marker_payload_bytes = 64;
constexpr std::size_t slow_read_bytes = 1024;
constexpr std::uint32_t slow_groups = 4; // one after the other they read a little
constexpr std::chrono::milliseconds slow_pause{5};
constexpr std::chrono::milliseconds sample_pause{20};
constexpr std::chrono::milliseconds mark_pause{100};

} // namespace

crowd_run::crowd_run(crowd_options options)
    : options_(std::move(options))
    , broker_(options_.broker_pid)
    , sources_(options_.peer.broker, options_.subscribers) {
    const auto& o = options_;
    if (std::uint64_t{o.stuck} + o.slow + o.well > o.subscribers || o.well == 0)
        throw std::runtime_error("needs a subscriber that reads well, and no more of any kind than there are");
    if (std::min(o.payload_bytes, o.heavy_payload_bytes) < sizeof(message_head) || o.inflight == 0)
        throw std::runtime_error("the payload needs at least 24 bytes, and inflight starts at 1");
    for (std::uint32_t i = 0; i < channels + o.subscribers; ++i) {
        auto peer = o.peer;
        peer.client_id += std::to_string(i);
        peers_.push_back(std::make_unique<load_peer>(loop_, std::move(peer), i, static_cast<peer_events&>(*this)));
        if (i >= channels && falls_behind(i - channels)) peers_[i]->connection().keep_kernel_buffers_small();
    }
    const auto readers = o.subscribers - o.stuck - o.slow;
    out_.emplace_back(*peers_[crowd], crowd,
                      outgoing_options{"bench/crowd", o.payload_bytes, o.messages, o.inflight, readers});
    out_.emplace_back(*peers_[heavy], heavy,
                      outgoing_options{"bench/heavy", o.heavy_payload_bytes, o.heavy_messages, o.inflight, o.well});
    out_.emplace_back(*peers_[markers], markers, outgoing_options{"bench/markers", marker_payload_bytes, 0, 1, 0});
    checkers_.resize(std::size_t{o.subscribers} * channels);
    marked_.resize(o.subscribers);
}

bool crowd_run::has(std::uint32_t place, std::uint32_t which) const {
    switch (which) {
    case crowd: return true;
    case heavy: return place < behind() + options_.well;
    default: return falls_behind(place);
    }
}

crowd_report crowd_run::run(const volatile int* interrupted) {
    open_more();
    loop_.after(from_seconds(options_.timeout_seconds), [this] { end("timed out"); });
    loop_.run(interrupted);
    if (stage_ != stage::done) report_.error = "interrupted";
    verify();
    return report_;
}

void crowd_run::open_more() {
    for (; opened_ < peers_.size() && opened_ - ready_ < connecting_max; ++opened_)
        peers_[opened_]->open(sources_.of(opened_));
}

void crowd_run::on_ready(load_peer&) {
    ++ready_;
    open_more();
    if (ready_ == peers_.size()) subscribe_all();
}

void crowd_run::subscribe_all() {
    for (std::uint32_t p = 0; p < options_.subscribers; ++p) {
        std::vector<std::string> filters;
        for (const auto& out : out_)
            if (has(p, static_cast<std::uint32_t>(&out - out_.data()))) filters.push_back(out.topic());
        at(p).subscribe(filters, p % 2 == 0 ? proto::qos::at_most_once : proto::qos::at_least_once);
    }
}

void crowd_run::on_subscribed(load_peer& peer) {
    if (falls_behind(place(peer))) peer.connection().pause_reading(true);
    if (++subscribed_ == options_.subscribers) start_load();
}

void crowd_run::start_load() {
    stage_ = stage::loading;
    loaded_from_ = clock::now();
    report_.resident_before_bytes = broker_.resident_bytes();
    sample_memory();
    let_slow_ones_read();
    for (auto& out : out_) out.start();
}

void crowd_run::sample_memory() {
    report_.resident_max_bytes = std::max(report_.resident_max_bytes, broker_.resident_bytes());
    loop_.after(sample_pause, [this] { sample_memory(); });
}

/// Each that is let reads until it has a message, and pauses again (on_delivery).
void crowd_run::let_slow_ones_read() {
    if (stage_ != stage::loading) return;
    ++slow_turn_;
    for (std::uint32_t p = options_.stuck; p < behind(); ++p) {
        auto& connection = at(p).connection();
        connection.set_read_bytes_max(slow_read_bytes);
        if ((p + slow_turn_) % slow_groups == 0) connection.pause_reading(false);
    }
    loop_.after(slow_pause, [this] { let_slow_ones_read(); });
}

void crowd_run::on_delivery(load_peer& peer, std::string_view payload) {
    const auto head = read_head(payload, payload.size());
    if (peer.number() < channels || !head || head->publisher >= channels || !has(place(peer), head->publisher)) {
        ++report_.checked.strays;
        return;
    }
    ++report_.delivered;
    const auto p = place(peer);
    switch (checkers_[std::size_t{p} * channels + head->publisher].take(head->sequence)) {
    case sequence_checker::verdict::next: break;
    case sequence_checker::verdict::reordered: ++report_.checked.reordered; break;
    case sequence_checker::verdict::doubled: ++report_.checked.doubled; return;
    }
    if (head->publisher == markers) marked_[p] = head->sequence + 1;
    if (falls_behind(p)) {
        if (stage_ == stage::loading) peer.connection().pause_reading(true);
        return;
    }
    out_[head->publisher].arrived(head->sequence);
    end_load_when_done();
}

void crowd_run::on_acknowledged(load_peer& peer, proto::packet_id id, bool refused) {
    if (refused) ++report_.checked.refused;
    out_[peer.number()].acknowledged(id);
    end_load_when_done();
}

void crowd_run::end_load_when_done() {
    if (stage_ != stage::loading || !out_[crowd].done() || !out_[heavy].done()) return;
    stage_ = stage::collecting;
    report_.seconds = std::chrono::duration<double>(clock::now() - loaded_from_).count();
    for (std::uint32_t p = 0; p < behind(); ++p) {
        auto& connection = at(p).connection();
        connection.set_read_bytes_max(loop::scratch_bytes);
        connection.pause_reading(false);
    }
    mark(mark_pause);
}

bool crowd_run::all_have_last_marker() const {
    for (std::uint32_t p = 0; p < behind(); ++p)
        if (marked_[p] != out_[markers].published()) return false;
    return out_[markers].published() > 0;
}

/// A marker may be dropped like any other message, so there are further ones until nobody is behind; each has twice the
/// time of the one before.
void crowd_run::mark(clock::duration patience) {
    if (all_have_last_marker()) return end("");
    out_[markers].one_more();
    loop_.after(patience, [this, patience] { mark(2 * patience); });
}

void crowd_run::verify() {
    for (std::uint32_t p = 0; p < options_.subscribers; ++p)
        for (std::uint32_t c = 0; c < channels; ++c)
            if (has(p, c)) {
                const auto lost = checkers_[std::size_t{p} * channels + c].lost(out_[c].published());
                (falls_behind(p) ? report_.missing : report_.checked.lost) += lost;
            }
}

void crowd_run::on_lost(load_peer& peer, const std::string& why) {
    end("connection " + std::to_string(peer.number()) + " lost: " + why);
}

void crowd_run::end(const std::string& error) {
    if (stage_ == stage::done) return;
    stage_ = stage::done;
    report_.error = error;
    loop_.stop();
}

} // namespace fb::fleet
