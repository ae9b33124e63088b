// Island mode: the database is away. Devices go on with what they were offered, their reports are kept on this
// machine's disk and acknowledged once they are there, and nothing is decided by time. When the database is back, the
// reports come first, in their order, and then the clock: a result that waited here is not overtaken by its time-out.
//
// A report may be replayed twice (a crash, a second failure in the middle of a batch): its event key is unique. New
// reports of a device wait behind those it has in the spool.
#include <spdlog/spdlog.h>

#include "fota/service_impl.hpp"

namespace fb::fota {

void service::use_spool(report_spool& spool) {
    impl_->spool = &spool;
    impl_->spooled = spool.devices();
}

void service::database_away(bool away, timestamp now) {
    auto& self = *impl_;
    self.see(now);
    if (self.spool == nullptr) return;
    if (away && !self.away) spdlog::warn("fota: the database is away: reports are kept here, nothing new begins");
    if (!away && self.away) spdlog::info("fota: the database is back");
    const bool back = self.away && !away;
    self.away = away;
    if (away) return;
    if (back) self.settle_all();
    self.replay();
}

bool service::impl::belongs_in_spool(const report& r) const {
    if (spool == nullptr || !r.wants_ack || r.received_at) return false;
    return away || spooled.contains(r.from.device_id);
}

void service::impl::keep(const report& r) {
    ++spooled[r.from.device_id];
    report kept = r;
    kept.received_at = now;
    spool->keep(kept, [this, r](bool durable) {
        if (durable) {
            ++count.reports_spooled;
            return answer(r, verdict::accepted, "");
        }
        if (--spooled[r.from.device_id] == 0) spooled.erase(r.from.device_id);
        answer(r, verdict::unavailable, "the database is away, and there is no room to keep reports");
    });
}

/// The store does not take it now.
void service::impl::not_now(const report& r, std::string_view reason) {
    if (spool == nullptr || r.received_at || !r.wants_ack) return answer(r, verdict::unavailable, reason);
    away = true; // until somebody finds out that it is back
    keep(r);
}

/// The next batch, when there is none in hand.
void service::impl::replay() {
    if (away || replays_in_hand > 0) return;
    const auto reports = spool->oldest();
    if (reports.empty()) return;
    replays_in_hand = reports.size() + 1; // one for this function
    batch.clear();
    for (const auto& r : reports) {
        batch.push_back(r.from.device_id);
        on_report(r);
    }
    replay_ended(verdict::accepted);
}

void service::impl::replay_ended(verdict v) {
    replay_failed |= v == verdict::unavailable;
    if (--replays_in_hand == 0) batch_ended();
}

void service::impl::batch_ended() {
    if (std::exchange(replay_failed, false)) { // the same ones again when it is back
        away = true;
        return;
    }
    if (!spool->forget()) return; // the same ones again a little later: their event keys are known
    count.reports_replayed += batch.size();
    for (const auto& id : std::exchange(batch, {})) {
        const auto at = spooled.find(id);
        if (at == spooled.end() || --at->second > 0) continue;
        spooled.erase(at);
        if (auto* s = peek(id)) request_settle(*s);
    }
    replay();
}

void service::impl::settle_all() {
    std::vector<std::string> all;
    for (const auto& [id, s] : slots) all.push_back(id);
    for (const auto& id : all)
        if (auto* s = peek(id)) request_settle(*s);
}

void service::on_missing_file(std::function<void(const storage::firmware&)> wanted) {
    impl_->wanted_file = std::move(wanted);
}

void service::file_missing(const storage::firmware& f) {
    if (impl_->wanted_file) impl_->wanted_file(f);
}

void service::file_arrived(const std::string& sha256_hex, timestamp now) {
    auto& self = *impl_;
    self.see(now);
    std::vector<std::string> waiting;
    for (const auto& [id, s] : self.slots)
        if (s->open && s->open->firmware && sha256_of(*s->open->firmware) == sha256_hex) waiting.push_back(id);
    for (const auto& id : waiting)
        if (auto* s = self.peek(id)) self.request_settle(*s);
}

} // namespace fb::fota
