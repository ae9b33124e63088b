// Before there is FOTA: the database could not be reached when the gateway started.
#include <chrono>
#include <utility>

#include "broker/app/fota_joint.hpp"
#include "broker/app/report_spool.hpp"
#include "broker/net/broker.hpp"
#include "fota/topics.hpp"

namespace fb::app {
namespace {

constexpr std::size_t held_max = 20'000; // reports, for the moments in which FOTA is made
constexpr std::string_view away = "the database is away";
constexpr std::string_view no_room = "the database is away, and there is no room to keep reports";

} // namespace

/// False: there is FOTA now.
bool fota_joint::before_fota(const fota::report& r) {
    const std::lock_guard lock(early_mutex_);
    if (fota_.load(std::memory_order_relaxed) != nullptr) return false;
    if (!r.wants_ack) return true; // it promises nothing, and would be old news
    if (holding_ && held_.size() < held_max)
        held_.push_back(r);
    else
        keep(r);
    return true;
}

/// In the spool, when it is worth it. REQUIRES: early_mutex_ is held.
void fota_joint::keep(const fota::report& r) {
    if (holding_ || spool_ == nullptr || fota::parse_report_topic(r.topic)->kind == fota::report_kind::fetch)
        return acknowledge(r.token, fota::verdict::unavailable, away);
    ++keeping_;
    fota::report kept = r;
    kept.received_at = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    const auto done = [this, token = r.token](bool durable) {
        acknowledge(token, durable ? fota::verdict::accepted : fota::verdict::unavailable, durable ? "" : no_room);
        const std::lock_guard lock(early_mutex_);
        if (--keeping_ == 0) kept_.notify_all();
    };
    if (spool_->keep_early(kept, done)) return;
    --keeping_;
    acknowledge(r.token, fota::verdict::unavailable, no_room);
}

/// False: there is FOTA now.
bool fota_joint::before_fota(const core::peer_event& e, const fota::peer& who) {
    const std::lock_guard lock(early_mutex_);
    if (fota_.load(std::memory_order_relaxed) != nullptr) return false;
    using kind = core::peer_event::kind;
    switch (e.what) {
    case kind::connected: early_peers_.insert_or_assign(who.connection, early_peer{who, {}}); break;
    case kind::disconnected: early_peers_.erase(who.connection); break;
    case kind::subscribed:
    case kind::unsubscribed:
        if (const auto at = early_peers_.find(who.connection); at != early_peers_.end()) {
            std::erase(at->second.filters, e.filter);
            if (e.what == kind::subscribed) at->second.filters.push_back(e.filter);
        }
        break;
    }
    return true;
}

void fota_joint::hold_reports() {
    std::unique_lock lock(early_mutex_);
    holding_ = true;
    kept_.wait(lock, [this] { return keeping_ == 0; });
}

void fota_joint::let_reports_go() {
    const std::lock_guard lock(early_mutex_);
    holding_ = false;
    for (const fota::report& r : std::exchange(held_, {})) keep(r);
}

void fota_joint::connect(fota::fota_thread& fota) {
    const std::lock_guard lock(early_mutex_);
    for (const auto& [connection, peer] : std::exchange(early_peers_, {})) {
        post_connected(fota, peer.who);
        for (const std::string& filter : peer.filters) post_subscribed(fota, peer.who, filter);
    }
    for (const fota::report& r : std::exchange(held_, {})) post(fota, r);
    fota_.store(&fota, std::memory_order_release);
}

} // namespace fb::app
