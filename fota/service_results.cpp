// device/{id}/update/result: which update and attempt a result belongs to, and what it does there. Exactly once: the
// event key is unique in the database, and what has no key of its own is compared with what is stored.
#include "certs/digest.hpp"
#include "fota/device_attributes.hpp"
#include "fota/service_impl.hpp"

namespace fb::fota {
namespace {

constexpr int recent_results = 10;

} // namespace

/// Where a result goes.
struct service::impl::booking {
    std::optional<storage::update_view> update; // nothing: unsolicited
    int attempt = 0;
    bool open = false;  // it is the slot's open update
    bool again = false; // stored before
};

void service::impl::on_result(slot& s, const report& r, const result_report& result) {
    auto known = registered(s, r.from);
    if (!known) return answer(r, verdict::refused, "the device is not registered");
    const auto b = find_booking(s, result);
    if (!b) return not_now(r, "the database cannot be read now");
    if (b->again) {
        ++count.reports_duplicate;
        return answer(r, verdict::accepted, "");
    }

    const auto st = step_of_result(s, *b, result);
    storage::record_report op = st ? operation(s, *st) : storage::record_report{};
    auto d = std::move(*known);
    if (result.status == storage::result_status::success && !outdated(s, r)) d.firmware_version = result.version;
    touch(s, d, r);
    if (st) count_outcome(d, *st);

    storage::update_result row;
    row.id = storage::new_id<storage::result_uuid>(now);
    row.device_id = d.id;
    row.firmware_version = result.version;
    row.status = result.status;
    row.received_at = r.received_at.value_or(now);
    row.code = result.code;
    row.message = result.message;
    row.device_time = result.device_time;
    if (b->update) {
        row.update_id = b->update->row.id;
        row.attempt = b->attempt;
        row.late = !b->open || b->attempt != b->update->row.attempt;
        row.event_key =
            to_string(b->update->row.id) + ":" + std::to_string(b->attempt) + ":" + storage::to_string(result.status);
    } else {
        const auto open_attempt = s.open ? std::to_string(s.open->view.row.attempt) : "-";
        row.event_key = certs::sha256_hex(s.device_id + "\n" + r.topic + "\n" + open_attempt + "\n" + r.payload);
    }
    op.device_row = std::move(d);
    op.result = std::move(row);
    write(s, std::move(op), acknowledge_after(r));
}

std::optional<service::impl::booking> service::impl::find_booking(slot& s, const result_report& result) {
    booking b;
    if (result.update_id) {
        const auto id = storage::parse_id<storage::update_uuid>(*result.update_id);
        if (!id) return b;
        if (s.open && s.open->view.row.id == *id) {
            b.update = s.open->view;
            b.open = true;
        } else {
            auto found = store.reader().find_update(*id);
            if (!found) return std::nullopt;
            if (!*found || (*found)->device_id != s.device_id || !(*found)->row.state)
                return b; // never booked on others
            b.update = std::move(**found);
        }
    } else if (s.open && s.open->view.firmware_version == result.version) {
        b.update = s.open->view;
        b.open = true;
    } else {
        auto latest = store.reader().find_latest_update(s.device_id);
        if (!latest) return std::nullopt;
        const bool same_version = *latest && (*latest)->firmware_version == result.version;
        if (!same_version || s.open) return b;
        b.again = stored_before(s, result, (*latest)->row.id);
        const bool late_proof = result.status == storage::result_status::success && (*latest)->row.sent_at &&
                                next_state(*(*latest)->row.state, stimulus::proven);
        if (late_proof) b.update = std::move(**latest);
        b.attempt = late_proof ? b.update->row.attempt : 0;
        return b;
    }

    const auto& row = b.update->row;
    b.attempt = result.attempt.value_or(row.attempt);
    if (b.attempt > row.attempt) return booking{};
    if (result.attempt) return b;
    // A failure that arrives while the next attempt has not been offered is the one that ended the last attempt.
    const bool waiting = row.state == update_state::pending && row.offer_no == 0 && row.attempt > 1;
    if (waiting && result.status != storage::result_status::success) b.attempt = row.attempt - 1;
    return b;
}

/// The last report of an ended update, sent once more by a device that names no update: word for word what is booked.
bool service::impl::stored_before(const slot& s, const result_report& result, const storage::update_uuid& ended) {
    storage::list_query q;
    q.limit = recent_results;
    q.device_id = s.device_id;
    const auto page = store.reader().list_results(q);
    if (!page) return false;
    for (const auto& [row, device_id] : page->items)
        if (row.update_id == ended && row.status == result.status && row.firmware_version == result.version &&
            row.code == result.code && row.message == result.message && row.device_time == result.device_time)
            return true;
    return false;
}

std::optional<step> service::impl::step_of_result(slot& s, const booking& b, const result_report& result) {
    if (!b.update) return std::nullopt;
    const auto& update = *b.update;
    if (result.status == storage::result_status::success && result.version == update.firmware_version) {
        if (!b.open) return late_proof(update.row);
        const bool rebooted = update.row.state == update_state::verifying;
        return target_reached(s, !rebooted && s.row && wants_confirmation(s.row->attributes));
    }
    if (!b.open || b.attempt != update.row.attempt) return std::nullopt;

    auto why = because("report");
    why.error_text = result.message;
    switch (result.status) {
    case storage::result_status::success:
        why.error_code = "version_mismatch";
        why.error_text = "the device reports success with version " + result.version;
        return advance(update.row, stimulus::wrong_version, why, limits);
    case storage::result_status::failed:
        why.error_code = result.code.value_or("failed");
        return advance(update.row, stimulus::failed, why, limits);
    case storage::result_status::partial:
        why.error_code = result.code.value_or("partial");
        return advance(update.row, stimulus::partial, why, limits);
    }
    return std::nullopt;
}

} // namespace fb::fota
