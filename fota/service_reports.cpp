// What devices publish: the way in for all reports, then status and progress. Results are in service_results.cpp.
#include <algorithm>

#include <spdlog/spdlog.h>

#include "fota/device_attributes.hpp"
#include "fota/service_impl.hpp"

namespace fb::fota {
namespace {

template <class T>
bool assign(std::optional<T>& to, const std::optional<T>& from) {
    if (!from || to == from) return false;
    to = from;
    return true;
}

bool describe(storage::device& d, const status_report& status) {
    bool changed = false;
    if (!d.type_by_operator) changed |= assign(d.type, status.type);
    if (!d.name_by_operator) changed |= assign(d.name, status.name);
    changed |= assign(d.hw_rev, status.hw_rev);
    changed |= assign(d.firmware_version, status.version);
    auto attributes = merge_attributes(d.attributes, status);
    if (attributes != d.attributes) {
        d.attributes = std::move(attributes);
        changed = true;
    }
    return changed;
}

} // namespace

void service::impl::answer(const report& r, verdict v, std::string_view reason) {
    switch (v) {
    case verdict::accepted: ++count.reports_accepted; break;
    case verdict::malformed: ++count.reports_malformed; break;
    case verdict::refused: ++count.reports_refused; break;
    case verdict::unavailable: break; // counted as a store failure, or not at all: it will come again
    }
    if (v != verdict::accepted)
        spdlog::warn("fota: device {}: {} {}: {}", r.from.device_id, r.topic,
                     v == verdict::malformed ? "malformed"
                     : v == verdict::refused ? "refused"
                                             : "not stored",
                     reason);
    if (r.wants_ack) broker.acknowledge(r.token, v, reason);
    if (r.received_at) replay_ended(v);
}

after_write service::impl::acknowledge_after(const report& r) {
    return [this, r](slot&, written w) {
        switch (w) {
        case written::duplicate: ++count.reports_duplicate; return answer(r, verdict::accepted, "");
        case written::done: return answer(r, verdict::accepted, "");
        case written::refused: return answer(r, verdict::malformed, "the database refuses these values");
        case written::unavailable: return not_now(r, "the database cannot be written now");
        }
    };
}

void service::impl::on_report(report r) {
    const auto topic = parse_report_topic(r.topic);
    if (!topic) return answer(r, verdict::refused, "not a topic for reports");
    if (topic->device_id != r.from.device_id) return answer(r, verdict::refused, "another device's topic");

    const auto decode_and = [&](auto decode, auto handle) {
        auto in = r.payload.size() > limits.payload_bytes_max
                      ? decltype(decode(r.payload)){std::nullopt, "payload too large"}
                      : decode(r.payload);
        if (!in.value) {
            if (topic->kind == report_kind::fetch) fetch_failed(r, std::nullopt, "malformed", in.fault);
            return answer(r, verdict::malformed, in.fault);
        }
        if (topic->kind != report_kind::fetch && belongs_in_spool(r)) return keep(r);
        auto& s = obtain(r.from.device_id);
        if (s.reports_waiting >= mailbox_reports_max && !r.received_at)
            return answer(r, verdict::unavailable, "too many reports at once");
        ++s.reports_waiting;
        auto once = std::make_shared<bool>(false); // a job may run again after a conflict
        enqueue(s, [this, handle, once, kept = report(r), value = std::move(*in.value)](slot& self) {
            if (!std::exchange(*once, true)) --self.reports_waiting;
            if (admit(self, kept)) (this->*handle)(self, kept, value);
        });
    };
    switch (topic->kind) {
    case report_kind::status: return decode_and(decode_status, &impl::on_status);
    case report_kind::progress: return decode_and(decode_progress, &impl::on_progress);
    case report_kind::result: return decode_and(decode_result, &impl::on_result);
    case report_kind::fetch: return decode_and(decode_fetch, &impl::on_fetch);
    }
}

bool service::impl::admit(slot& s, const report& r) {
    if (!ensure_loaded(s)) {
        not_now(r, "the database cannot be read now");
        return false;
    }
    if (!r.received_at) s.last_seen = now;
    return true;
}

/// The device's row, or a new one when it may register itself.
std::optional<storage::device> service::impl::registered(slot& s, const peer& from) {
    if (s.row) return s.row;
    const bool allowed = from.certificate_fingerprint ? limits.auto_register : limits.auto_register_without_certificate;
    if (!allowed) return std::nullopt;
    storage::device d;
    d.id = storage::new_id<storage::device_uuid>(now);
    d.device_id = s.device_id;
    d.first_seen = now;
    d.gateway_id = self;
    d.session_epoch = 1;
    return d;
}

/// What every report tells by being there.
void service::impl::touch(slot& s, storage::device& d, const report& r) const {
    const auto& from = r.from;
    if (!from.address.empty()) d.ip = from.address;
    if (from.certificate_fingerprint) d.cert_fingerprint = from.certificate_fingerprint;
    if (ours(s)) d.online = s.online();
    d.last_seen = std::max(d.last_seen, r.received_at ? r.received_at : s.last_seen);
}

/// It waited in a spool, and the device has been heard since, elsewhere perhaps: what it is now is known better.
bool service::impl::outdated(const slot& s, const report& r) const {
    return r.received_at && s.row && s.row->last_seen > r.received_at;
}

void service::impl::on_status(slot& s, const report& r, const status_report& status) {
    auto known = registered(s, r.from);
    if (!known) return answer(r, verdict::refused, "the device is not registered");
    if (!status.version && !s.row) return answer(r, verdict::accepted, ""); // a last will registers nobody
    if (outdated(s, r)) return answer(r, verdict::accepted, "");
    // Speaking again takes an earlier "online": false back.
    if (s.holds(r.from.connection)) s.said_offline = status.online && !*status.online;

    auto d = std::move(*known);
    const auto before = d;
    bool changed = describe(d, status);
    touch(s, d, r);
    const bool seen_due =
        !before.last_seen || now < *before.last_seen || now - *before.last_seen >= limits.last_seen_interval;
    changed |= !s.row || seen_due || d.online != before.online || d.ip != before.ip ||
               d.cert_fingerprint != before.cert_fingerprint;

    const auto st = status.version ? version_reported(s, *status.version, status.boot_id, before) : std::nullopt;
    if (!changed && !st) return answer(r, verdict::accepted, "");
    storage::record_report op = st ? operation(s, *st) : storage::record_report{};
    if (st) count_outcome(d, *st);
    op.device_row = std::move(d);
    write(s, std::move(op), acknowledge_after(r));
}

/// What a status means for an update: proof, roll-back, or nothing. `before` is the device as it was known.
std::optional<step> service::impl::version_reported(slot& s, const std::string& version,
                                                    const std::optional<std::string>& boot_id,
                                                    const storage::device& before) {
    if (!s.open) return late_version_proof(s, version, before);
    auto& open = *s.open;
    const auto& row = open.view.row;
    if (version == open.view.firmware_version) {
        if (!row.sent_at) return advance(row, stimulus::already_installed, because("report"), limits);
        return target_reached(s, false);
    }
    if (row.state != update_state::verifying) return std::nullopt;
    const auto known_boot = boot_id_of(before.attributes);
    const bool rebooted = boot_id && known_boot ? boot_id != known_boot : open.returned;
    if (!rebooted) {
        open.other_version = true; // may still reboot; the time-out decides
        return std::nullopt;
    }
    auto why = because("report");
    why.error_code = "rolled_back";
    why.error_text = "the device came back with version " + version;
    return advance(row, stimulus::rolled_back, why, limits);
}

/// A version that is new to us may prove an update that was given up.
std::optional<step> service::impl::late_version_proof(slot& s, const std::string& version,
                                                      const storage::device& before) {
    if (before.firmware_version == version) return std::nullopt;
    const auto latest = store.reader().find_latest_update(s.device_id);
    if (!latest || !*latest || (*latest)->firmware_version != version || !(*latest)->row.sent_at) return std::nullopt;
    return late_proof((*latest)->row);
}

std::optional<step> service::impl::late_proof(const storage::update& row) {
    const bool canceled = row.state == update_state::canceled;
    return advance(row, stimulus::proven, because(canceled ? "cancel_lost_the_race" : "late_proof"), limits);
}

/// The device says that it runs the open update's version.
std::optional<step> service::impl::target_reached(slot& s, bool confirmation_outstanding) {
    auto& open = *s.open;
    const auto& row = open.view.row;
    const bool soaking = limits.soak > std::chrono::seconds(0);
    if (!soaking && !confirmation_outstanding) return advance(row, stimulus::proven, because("report"), limits);
    auto out = advance(row, stimulus::early_success, because("report"), limits);
    if (row.state == update_state::verifying) {
        if (open.confirmed || confirmation_outstanding) return std::nullopt; // the soak time runs, or cannot begin yet
        out.emplace();
        out->wanted = row;
    }
    if (out && !confirmation_outstanding) {
        out->wanted.step_deadline = now + limits.soak;
        open.confirmed = true;
    }
    return out;
}

void service::impl::on_progress(slot& s, const report& r, const progress_report& p) {
    if (!s.row) return answer(r, verdict::refused, "the device is not registered");
    const bool ours = s.open && (!p.update_id || *p.update_id == to_string(s.open->view.row.id)) &&
                      (!p.attempt || *p.attempt == s.open->view.row.attempt);
    if (!ours || !offer_outstanding(s.open->view.row)) {
        ++count.reports_duplicate; // late, or about somebody else's update: changes nothing
        return answer(r, verdict::accepted, "");
    }
    auto& row = s.open->view.row;
    const auto size = firmware_of(s) ? s.open->firmware->size : 0;
    auto why = because("report");
    why.error_code = p.state == progress_state::rejected ? p.code.value_or("rejected") : p.code;
    why.error_text = p.message;
    why.retry_after = p.retry_after;
    auto st = advance(row, stimulus_of(p.state), why, limits);

    const bool downloading = (st ? *st->wanted.state : *row.state) == update_state::downloading;
    if (downloading && (p.percent || p.offset)) {
        const auto bytes = std::max(row.bytes_sent, std::min(p.offset.value_or(0), size));
        const auto percent =
            std::max({row.percent, p.percent.value_or(0), size > 0 ? static_cast<int>(bytes * 100 / size) : 0});
        if (bytes > row.bytes_sent || percent > row.percent) row.step_deadline = now + limits.download_idle_timeout;
        row.bytes_sent = bytes;
        row.percent = percent;
        if (st) {
            st->wanted.bytes_sent = bytes;
            st->wanted.percent = percent;
        } else {
            notify(s.device_id, row, *row.state);
        }
    }
    if (st) return write(s, operation(s, *st), acknowledge_after(r));
    if (!downloading || !progress_due(*s.open)) return answer(r, verdict::accepted, "");
    write(s, operation(row), acknowledge_after(r));
}

} // namespace fb::fota
