// What the state machine does by itself: offers, time-outs, retries, presence. settle() is called after everything that
// may matter and does at most one write; its commit calls it again.
#include <spdlog/spdlog.h>

#include "fota/command.hpp"
#include "fota/device_attributes.hpp"
#include "fota/service_impl.hpp"

namespace fb::fota {

occasion service::impl::because(std::string cause) {
    occasion o;
    o.now = now;
    o.cause = std::move(cause);
    o.random = static_cast<std::uint32_t>(random());
    return o;
}

storage::record_report service::impl::operation(const slot& s, const step& st) const {
    storage::record_report op;
    op.change = storage::update_change{st.wanted, st.wanted.state_version};
    op.events = st.events;
    op.audit = audit_lost_cancel(s, st);
    return op;
}

storage::record_report service::impl::operation(const storage::update& row) {
    storage::record_report op;
    op.change = storage::update_change{row, row.state_version};
    return op;
}

bool service::impl::progress_due(const open_update& open) const {
    const auto& at = open.progress_written_at;
    return !at || now < *at || now - *at >= limits.last_seen_interval;
}

void service::impl::count_outcome(storage::device& d, const step& st) const {
    if (st.succeeded) {
        d.fail_streak = 0;
        d.updates_blocked_until.reset();
    }
    if (!st.attempt_failed) return;
    if (++d.fail_streak < limits.fail_streak_max) return;
    d.updates_blocked_until = now + limits.penalty;
    spdlog::warn("fota: device {}: {} failures in a row, no updates before {}", d.device_id, d.fail_streak,
                 storage::format_timestamp(*d.updates_blocked_until));
}

void service::impl::settle(slot& s) {
    if (s.connections.empty()) s.claim_due = s.announce_due = false;        // it came and went
    if (s.row && !ours(s) && !s.claim_due && s.connections.empty()) return; // nothing to do with it here
    if (at_rest(s)) return;                                                 // settle_all() follows
    if (!ensure_loaded(s)) return retry_later(s);
    if (!s.row) return;                                                           // a stranger is connected
    if (!ours(s) && !s.connections.empty() && !s.row->online) s.claim_due = true; // its other gateway has lost it
    if (!ours(s) && !s.claim_due) {
        s.connection_lost = false;
        return;
    }
    auto d = *s.row;
    const bool moved = presence(s, d);
    const auto st = ours(s) ? due_step(s) : std::nullopt;
    if (!st && !moved) {
        s.connection_lost = false;
        return;
    }
    storage::record_report op = st ? operation(s, *st) : storage::record_report{};
    if (st) count_outcome(d, *st);
    if (moved || (st && (st->attempt_failed || st->succeeded))) op.device_row = std::move(d);
    const bool offer = st && st->wanted.state == update_state::offered;
    const bool taken = !ours(s);
    s.lost_in_hand = std::exchange(s.connection_lost, false);
    s.claim_in_hand = std::exchange(s.claim_due, false);
    write(s, std::move(op), [this, offer, taken](slot& self, written w) {
        if (w != written::done) return retry_later(self);
        // What its last gateway did until now has to be known before anything is published.
        if (taken && !reload(self)) {
            self.claim_due = true;
            return retry_later(self);
        }
        if (!offer) return self.announce_due ? announce(self) : void();
        self.announce_due = false;
        ++count.offers;
        publish_install(self);
    });
}

bool service::impl::presence(const slot& s, storage::device& d) const {
    const bool arrived = !s.connections.empty();
    const bool moved = (s.claim_due && arrived) || d.online != s.online() ||
                       (arrived && s.address && !s.address->empty() && d.ip != s.address) ||
                       (arrived && s.fingerprint && d.cert_fingerprint != s.fingerprint);
    if (!moved) return false;
    if (s.claim_due && arrived) {
        d.gateway_id = self;
        ++d.session_epoch;
    }
    d.online = s.online();
    if (arrived && s.address && !s.address->empty()) d.ip = s.address;
    if (arrived && s.fingerprint) d.cert_fingerprint = s.fingerprint;
    d.last_seen = s.last_seen;
    return true;
}

/// What has to happen now, if anything.
std::optional<step> service::impl::due_step(slot& s) {
    if (!s.open) return std::nullopt;
    auto& open = *s.open;
    const auto& row = open.view.row;
    if (open.fetched || open.fetched_all) {
        const auto st =
            advance(row, open.fetched_all ? stimulus::downloaded : stimulus::downloading, because("download"), limits);
        if (st) return st;
        open.fetched = open.fetched_all = false;
    }
    if (s.connection_lost)
        if (auto st = advance(row, stimulus::connection_lost, because("connection_lost"), limits)) return st;
    if (row.deadline && *row.deadline <= now)
        if (auto st = advance(row, stimulus::deadline_passed, because("timeout"), limits)) return st;
    if (row.step_deadline && *row.step_deadline <= now) return timed_out(s);
    if (row.state != update_state::pending || obstacle(s)) return std::nullopt;
    // Not after a deferral: the device answered then, and its next answer is waited for once more.
    if (row.offer_no >= limits.offers_max && !row.not_before) {
        auto why = because("timeout");
        why.error_code = "no_response";
        return advance(row, stimulus::no_response, why, limits);
    }
    return advance(row, stimulus::offer, because("offer"), limits);
}

std::optional<step> service::impl::timed_out(slot& s) {
    const auto& open = *s.open;
    const auto& row = open.view.row;
    auto why = because("timeout");
    why.error_code = timeout_code(*row.state);
    if (row.state == update_state::offered) {
        if (row.offer_no >= limits.offers_max) return advance(row, stimulus::no_response, why, limits);
        return advance(row, s.ready() ? stimulus::offer : stimulus::connection_lost, because("timeout"), limits);
    }
    if (row.state == update_state::verifying) {
        const bool runs_target = s.row && s.row->firmware_version == open.view.firmware_version &&
                                 (open.confirmed || !wants_confirmation(s.row->attributes));
        if (runs_target) return advance(row, stimulus::proven, because("soaked"), limits);
        if (open.other_version) {
            why.error_code = "rolled_back";
            return advance(row, stimulus::rolled_back, why, limits);
        }
    }
    return advance(row, stimulus::timed_out, why, limits);
}

/// Why a pending update is not offered now; nothing when it can be.
std::optional<explain_reason> service::impl::obstacle(slot& s) {
    const auto& row = s.open->view.row;
    if (s.connections.empty()) return explain_reason{"offline", "the device is not connected"};
    if (!s.ready())
        return explain_reason{"not_subscribed",
                              "the device is connected but not subscribed to " + update_topic(s.device_id)};
    if (s.row && s.row->updates_blocked_until && now < *s.row->updates_blocked_until)
        return explain_reason{"blocked", "after " + std::to_string(s.row->fail_streak) +
                                             " failures in a row there are no offers before " +
                                             storage::format_timestamp(*s.row->updates_blocked_until)};
    if (row.not_before && now < *row.not_before) {
        const bool deferred = row.offer_no > 0;
        return explain_reason{
            deferred ? "deferred" : "backoff",
            std::string(deferred ? "the device asked to wait until " : "the next attempt begins at ") +
                storage::format_timestamp(*row.not_before)};
    }
    const auto firmware = fresh_firmware_of(s);
    if (!firmware) return explain_reason{"unavailable", "the firmware's row cannot be read now"};
    if (firmware->state != storage::firmware_state::approved)
        return explain_reason{"revoked", "the firmware is not approved (draft or revoked)"};
    if (wanted_file && !file_here(*firmware)) {
        wanted_file(*firmware);
        return explain_reason{"fetching", "the firmware's file is being fetched from another gateway"};
    }
    return std::nullopt;
}

/// An open offer is repeated to a device that has just subscribed; a new one is settle()'s to make.
void service::impl::announce(slot& s) {
    if (!ours(s)) return;
    s.announce_due = false;
    fresh_firmware_of(s);
    const auto state = s.open ? s.open->view.row.state : std::nullopt;
    if (state >= update_state::offered && state <= update_state::downloaded) publish_install(s);
}

void service::impl::publish_install(slot& s) {
    if (!s.open || !s.ready()) return;
    const auto firmware = firmware_of(s);
    if (!firmware || firmware->state != storage::firmware_state::approved) return;
    broker.publish_live(update_topic(s.device_id), encode_install(limits, s.open->view, *firmware),
                        static_cast<std::uint32_t>(limits.offer_timeout.count()));
}

void service::impl::publish_cancel(const std::string& device_id, const storage::update_uuid& id) {
    broker.publish_live(update_topic(device_id), encode_cancel(id),
                        static_cast<std::uint32_t>(limits.offer_timeout.count()));
}

} // namespace fb::fota
