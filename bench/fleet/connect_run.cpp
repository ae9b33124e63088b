#include "bench/fleet/connect_run.hpp"

#include <algorithm>
#include <stdexcept>

namespace fb::fleet {
namespace {

std::vector<std::unique_ptr<load_peer>> make_peers(loop& l, const peer_options& like, std::uint32_t count,
                                                   peer_events& events) {
    std::vector<std::unique_ptr<load_peer>> out;
    for (std::uint32_t i = 0; i < count; ++i) {
        auto options = like;
        options.client_id += std::to_string(i);
        out.push_back(std::make_unique<load_peer>(l, std::move(options), i, events));
    }
    return out;
}

} // namespace

connect_run::connect_run(connect_options options)
    : options_(std::move(options))
    , broker_(options_.broker_pid) {
    if (options_.count == 0 || options_.concurrency == 0) throw std::runtime_error("count and concurrency start at 1");
    options_.concurrency = std::min(options_.concurrency, options_.count);
    sessions_.resize(options_.concurrency);
    places_ = make_peers(loop_, options_.peer, options_.concurrency, *this);
    for (std::uint32_t i = 0; options_.resume && i < places_.size(); ++i) places_[i]->keep_session_in(&sessions_[i]);
}

connect_report connect_run::run(const volatile int* interrupted) {
    for (auto& place : places_) place->open();
    loop_.after(from_seconds(options_.timeout_seconds), [this] {
        report_.error = "timed out";
        loop_.stop();
    });
    loop_.run(interrupted);
    report_.seconds = std::chrono::duration<double>(loop::clock::now() - measured_from_).count();
    report_.broker_cpu_ns = broker_.cpu_ns() - report_.broker_cpu_ns;
    if (report_.connections < options_.count && report_.error.empty()) report_.error = "interrupted";
    return report_;
}

void connect_run::start_measuring() {
    measured_from_ = loop::clock::now();
    report_.broker_cpu_ns = broker_.cpu_ns();
    started_ = options_.concurrency;
    for (auto& place : places_) place->open();
}

void connect_run::on_ready(load_peer& peer) {
    const bool resumed = peer.resumed();
    peer.close();
    if (warmed_up_ < options_.concurrency) {
        if (++warmed_up_ < options_.concurrency) return;
        // A moment for the broker to see the ends, so that they are not measured.
        loop_.after(std::chrono::milliseconds(200), [this] { start_measuring(); });
        return;
    }
    report_.resumed += resumed ? 1 : 0;
    if (++report_.connections == options_.count) return loop_.stop();
    if (started_ == options_.count) return;
    ++started_;
    peer.open();
}

void connect_run::on_lost(load_peer& peer, const std::string& why) {
    report_.error = "connection " + std::to_string(peer.number()) + " lost: " + why;
    loop_.stop();
}

idle_run::idle_run(idle_options options)
    : options_(std::move(options))
    , broker_(options_.broker_pid)
    , sources_(options_.peer.broker, options_.connections) {
    options_.peer.keep_alive_s = options_.keep_alive_s;
    peers_ = make_peers(loop_, options_.peer, options_.connections, *this);
}

idle_report idle_run::run(const volatile int* interrupted) {
    goal_ = std::min(options_.connections, std::max<std::uint32_t>(10, options_.connections / 20));
    report_.connections = options_.connections - goal_;
    open_more();
    loop_.after(from_seconds(options_.timeout_seconds), [this] {
        report_.error = "timed out";
        loop_.stop();
    });
    loop_.run(interrupted);
    if (report_.resident_after_bytes == 0 && report_.error.empty())
        report_.error = broker_.measures() ? "interrupted" : "nothing measured without --broker-pid";
    return report_;
}

void idle_run::open_more() {
    constexpr std::uint32_t connects_at_once = 50;
    for (; opened_ < goal_ && opened_ - ready_ < connects_at_once; ++opened_)
        peers_[opened_]->open(sources_.of(opened_));
}

void idle_run::on_ready(load_peer&) {
    ++ready_;
    open_more();
    if (ready_ == goal_) loop_.after(from_seconds(options_.settle_seconds), [this] { settled(); });
}

void idle_run::settled() {
    if (report_.resident_before_bytes == 0 && goal_ < options_.connections) {
        report_.resident_before_bytes = broker_.resident_bytes();
        goal_ = options_.connections;
        return open_more();
    }
    report_.resident_after_bytes = broker_.resident_bytes();
    if (options_.quiet_seconds == 0) return loop_.stop();
    quiet_from_ = loop::clock::now();
    report_.quiet_cpu_ns = broker_.cpu_ns();
    if (options_.keep_alive_s != 0) ping_some();
    loop_.after(from_seconds(options_.quiet_seconds), [this] { quiet_ended(); });
}

void idle_run::ping_some() {
    const auto passed_s = std::chrono::duration<double>(loop::clock::now() - quiet_from_).count();
    const auto due = static_cast<std::uint64_t>(passed_s * options_.connections / options_.keep_alive_s);
    for (; pings_ < due; ++pings_) peers_[pings_ % peers_.size()]->ping();
    loop_.after(std::chrono::milliseconds(10), [this] { ping_some(); });
}

void idle_run::quiet_ended() {
    report_.quiet_cpu_ns = broker_.cpu_ns() - report_.quiet_cpu_ns;
    report_.quiet_seconds = std::chrono::duration<double>(loop::clock::now() - quiet_from_).count();
    loop_.stop();
}

void idle_run::on_lost(load_peer& peer, const std::string& why) {
    report_.error = "connection " + std::to_string(peer.number()) + " lost: " + why;
    loop_.stop();
}

} // namespace fb::fleet
