#include "broker/app/neighbours.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include "broker/app/state_metrics.hpp"

namespace fb::app {
namespace {

constexpr std::chrono::seconds hint_patience{1}; // a NOTIFY that got lost costs no more
constexpr std::chrono::seconds look_every{30};
constexpr int hints_at_once = 500;
constexpr int devices_at_once = 1000;
constexpr const char* leader_lease = "leader";
constexpr std::chrono::milliseconds clock_tolerance{5000};
constexpr std::chrono::milliseconds measurable{250}; // a clock, by a round trip

storage::timestamp wall_clock() {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

} // namespace

neighbours::neighbours(std::unique_ptr<storage::gateway_store> store, settings s, fota::fota_thread& fota)
    : store_(std::move(store))
    , settings_(s)
    , fota_(fota)
    , thread_([this] { run(); }) {}

neighbours::~neighbours() { stop(); }

void neighbours::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void neighbours::run() {
    ::pthread_setname_np(::pthread_self(), "fb-neighbours");
    while (!stopped()) {
        if (!turn()) pause();
    }
    if (joined_) (void)store_->leave(); // if the database is away, they wait for dead_after
}

bool neighbours::stopped() const {
    const std::lock_guard lock(mutex_);
    return stopping_;
}

/// After a failure; the connection's own pauses grow.
void neighbours::pause() {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, hint_patience, [this] { return stopping_; });
}

/// False: the database could not be used, or has another one under our name.
bool neighbours::turn() {
    if (clock::now() >= next_beat_ && !beat()) return false;
    if (!deliver_hints()) return false;
    if (auto waited = store_->wait(hint_patience); !waited) return failed(waited.err());
    return true;
}

bool neighbours::beat() {
    const auto asked = wall_clock();
    const auto alive = joined_ ? store_->beat() : store_->join(settings_.self);
    const auto took = wall_clock() - asked;
    if (!alive) return failed(alive.err());
    if (alive->replaced) {
        set_trouble("another process runs as this gateway (" + to_string(settings_.self) +
                    "): was the data directory copied? Remove gateway.id from the copy");
        leads_ = false;
        return false;
    }
    joined_ = true;
    if (took >= took.zero() && took < measurable) heed_clock(alive->at - (asked + took / 2));
    tell_away(false);
    const auto leads = store_->lease(leader_lease, settings_.dead_after);
    if (!leads) return failed(leads.err());
    leads_ = *leads;
    if (!take_over()) return false;
    auto others = store_->peers(settings_.dead_after);
    if (!others) return failed(others.err());
    {
        const std::lock_guard lock(mutex_);
        peers_ = std::move(*others);
    }
    set_trouble("");
    next_beat_ = clock::now() + std::chrono::milliseconds(settings_.dead_after) / 8;
    if (clock::now() >= next_look_) {
        fota_.post([](fota::service& s, fota::timestamp now) { s.look_around(now); });
        next_look_ = clock::now() + look_every;
    }
    return true;
}

void neighbours::heed_clock(std::chrono::milliseconds ahead) {
    fota_.set_clock_ahead(ahead);
    const bool apart = std::chrono::abs(ahead) > clock_tolerance;
    if (apart && !clocks_apart_)
        spdlog::warn("the database's clock is {} ms ahead of this machine's: updates go by the database's",
                     ahead.count());
    clocks_apart_ = apart;
}

bool neighbours::take_over() {
    for (;;) {
        const auto taken = store_->take_over(settings_.dead_after, devices_at_once);
        if (!taken) return failed(taken.err());
        if (taken->devices == 0) return true;
        taken_ += static_cast<std::uint64_t>(taken->devices);
        spdlog::info("took over {} devices that no living gateway has, {} of them with an open update", taken->devices,
                     taken->with_work.size());
        std::vector<storage::hint_view> hints;
        for (const std::string& id : taken->with_work) hints.push_back({{}, id, "look", {}});
        fota_.post(
            [hints = std::move(hints)](fota::service& s, fota::timestamp now) { s.attend(hints, now, [](auto) {}); });
        if (taken->devices < devices_at_once || stopped()) return true;
    }
}

/// Reads what the others say, hands it to FOTA, and forgets what FOTA has done since the last time.
bool neighbours::deliver_hints() {
    std::vector<storage::hint_uuid> seen, unseen;
    {
        const std::lock_guard lock(mutex_);
        seen.swap(seen_);
        unseen.swap(unseen_);
    }
    for (const auto& id : unseen) in_hand_.erase(id); // again
    if (auto gone = store_->forget(seen); !gone) {
        {
            const std::lock_guard lock(mutex_);
            seen_.insert(seen_.end(), seen.begin(), seen.end());
        }
        return failed(gone.err());
    }
    for (const auto& id : seen) in_hand_.erase(id);
    auto hints = store_->hints(hints_at_once);
    if (!hints) return failed(hints.err());
    std::erase_if(*hints, [this](const auto& h) { return in_hand_.contains(h.id); });
    if (hints->empty()) return true;
    hints_ += hints->size();
    std::vector<storage::hint_uuid> ids;
    for (const auto& h : *hints) ids.push_back(h.id);
    in_hand_.insert(ids.begin(), ids.end());
    fota_.post([this, ids = std::move(ids), hints = std::move(*hints)](fota::service& s, fota::timestamp now) {
        s.attend(hints, now, [this, ids](std::vector<storage::hint_uuid> done) {
            const std::lock_guard lock(mutex_);
            const std::set<storage::hint_uuid> well(done.begin(), done.end());
            for (const auto& id : ids) (well.contains(id) ? seen_ : unseen_).push_back(id);
        });
    });
    return true;
}

bool neighbours::failed(const storage::error& why) {
    next_beat_ = {}; // the first thing to do when it is back
    leads_ = false;
    if (why.kind == storage::error_kind::unavailable) tell_away(true);
    set_trouble(why.text);
    return false;
}

/// That it is there is said with every beat: FOTA itself may have found it away since.
void neighbours::tell_away(bool away) {
    if (std::exchange(away_told_, away) && away) return;
    fota_.post([away](fota::service& s, fota::timestamp now) { s.database_away(away, now); });
}

void neighbours::set_trouble(std::string text) {
    const std::lock_guard lock(mutex_);
    if (trouble_.empty() && !text.empty()) spdlog::warn("neighbours: {}", text);
    trouble_ = std::move(text);
}

std::vector<storage::gateway> neighbours::peers() const {
    const std::lock_guard lock(mutex_);
    return peers_;
}

std::pair<bool, std::string> neighbours::health() const {
    const std::lock_guard lock(mutex_);
    return {trouble_.empty(), trouble_.empty() ? std::to_string(peers_.size()) + " other gateways" : trouble_};
}

void neighbours::append_metrics(std::string& out) const {
    append_metric(out, "fotabroker_gateway_hints_total", "counter", "Hints from other gateways", hints_);
    append_metric(out, "fotabroker_gateway_devices_taken_over_total", "counter",
                  "Devices taken over from gateways that were gone", taken_);
    append_metric(out, "fotabroker_gateway_leads", "gauge", "1: this gateway does what one of all has to do",
                  leads_ ? 1 : 0);
    append_metric(out, "fotabroker_gateway_peers", "gauge", "Other gateways that are alive", peers().size());
}

} // namespace fb::app
