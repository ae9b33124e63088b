// The bytes: who may download by HTTP, what served bytes mean for an update, and fw/get, the download by MQTT alone.
#include <algorithm>

#include "fota/service_impl.hpp"
#include "fota/signed_url.hpp"

namespace fb::fota {
namespace {

constexpr std::chrono::hours download_after_end{1};
} // namespace

// --- HTTP

void service::authorize_download(const download_request& request, timestamp now, reply<download_grant> done) {
    auto& self = *impl_;
    self.see(now);
    problem why{401, "unauthorized", "this needs a signed URL, a device's certificate or a token"};
    std::optional<download_grant> grant;
    if (request.by_operator) grant.emplace();
    if (!grant && request.certificate_device_id) {
        grant = self.grant_by_certificate(request);
        why = {403, "no_update", "this device has no open update of this firmware"};
    }
    if (!grant && request.signature) grant = self.grant_by_signature(request, why);
    if (!grant) return done(std::nullopt, why);
    auto firmware = self.firmware_for(*grant, request.firmware_id, why);
    if (!firmware) return done(std::nullopt, why);
    if (firmware->state == storage::firmware_state::revoked)
        return done(std::nullopt, {410, "revoked", "this firmware was revoked"});
    grant->firmware = std::move(*firmware);
    done(std::move(grant), {});
}

/// Of a device that is being served already, memory knows it even while the database is away.
std::optional<storage::firmware> service::impl::firmware_for(const download_grant& grant, const std::string& id,
                                                             problem& why) {
    const auto open = grant.update_id ? by_update.find(*grant.update_id) : by_update.end();
    if (away && open != by_update.end() && open->second->open->firmware) return *open->second->open->firmware;
    return find_firmware(id, why);
}

std::optional<download_grant> service::impl::grant_by_certificate(const download_request& request) {
    const auto* s = peek(*request.certificate_device_id);
    std::optional<storage::update_view> view;
    if (s && s->open) view = s->open->view;
    if (!view && limits.shared) { // it may be connected to another gateway
        if (auto found = store.reader().find_open_update(*request.certificate_device_id)) view = std::move(*found);
    }
    if (!view || to_string(view->row.firmware_id) != request.firmware_id) return std::nullopt;
    download_grant grant;
    grant.update_id = view->row.id;
    grant.attempt = view->row.attempt;
    return grant;
}

std::optional<download_grant> service::impl::grant_by_signature(const download_request& request, problem& why) {
    why = {403, "bad_signature", "the URL's signature does not match"};
    const auto id = storage::parse_id<storage::update_uuid>(request.update_id.value_or(""));
    const auto view = id ? find_any_update(*id) : std::nullopt;
    if (!view || !request.attempt || !request.expires) return std::nullopt;
    const url_claim claim{request.firmware_id, view->device_id, *request.update_id, *request.attempt, *request.expires};
    if (to_string(view->row.firmware_id) != request.firmware_id ||
        !url_signature_valid(limits.url_key, claim, *request.signature))
        return std::nullopt;
    if (!url_unexpired(*request.expires, now)) {
        why = {403, "expired", "the URL has expired; the device gets a new one with the next command"};
        return std::nullopt;
    }
    if (storage::is_terminal(*view->row.state) && now - view->row.state_at >= download_after_end) {
        why = {403, "ended", "the update has ended"};
        return std::nullopt;
    }
    download_grant grant;
    grant.update_id = view->row.id;
    grant.attempt = std::atoi(request.attempt->c_str()); // signed by us, so it is a number
    return grant;
}

std::optional<storage::update_view> service::impl::find_any_update(const storage::update_uuid& id) {
    if (const auto open = by_update.find(id); open != by_update.end()) return open->second->open->view;
    auto found = store.reader().find_update(id);
    if (!found || !*found || !(*found)->row.state) return std::nullopt;
    return **found;
}

void service::bytes_served(const download_grant& grant, std::int64_t first, std::int64_t end, timestamp now) {
    auto& self = *impl_;
    self.see(now);
    if (!grant.update_id || end <= first) return;
    const auto open = self.by_update.find(*grant.update_id);
    if (open != self.by_update.end()) self.book_bytes(*open->second, grant.attempt, end);
}

/// Memory is exact; the database learns of it with the next state, and once a minute.
void service::impl::book_bytes(slot& s, int attempt, std::int64_t end) {
    auto& open = *s.open;
    auto& row = open.view.row;
    const auto firmware = firmware_of(s);
    if (!firmware || row.attempt != attempt || !offer_outstanding(row) || row.state > update_state::downloading) return;
    end = std::min(end, firmware->size);
    if (end > row.bytes_sent) {
        row.bytes_sent = end;
        row.percent = std::max(row.percent, static_cast<int>(end * 100 / std::max<std::int64_t>(firmware->size, 1)));
        if (row.state == update_state::downloading) row.step_deadline = now + limits.download_idle_timeout;
        notify(s.device_id, row, *row.state);
    }
    open.fetched |= row.state != update_state::downloading;
    open.fetched_all |= end == firmware->size;
    if (open.fetched || open.fetched_all) return request_settle(s);
    if (!progress_due(open)) return rearm(s);
    open.progress_written_at = now;
    enqueue(s, [this](slot& self) {
        if (self.open) write(self, operation(self.open->view.row), [](slot&, written) {});
    });
}

// --- fw/get

void service::impl::fetch_failed(const report& r, std::optional<std::uint32_t> rid, std::string_view code,
                                 std::string_view text) {
    if (!rid && r.payload.size() <= limits.payload_bytes_max) rid = salvage_rid(r.payload);
    broker_port::chunk c;
    c.to = r.from.connection;
    c.topic = fetch_error_topic(r.from.device_id);
    c.data = encode_fetch_error(rid, code, text);
    broker.deliver(std::move(c));
}

void service::impl::on_fetch(slot& s, const report& r, const fetch_request& request) {
    if (!s.row) return answer(r, verdict::refused, "the device is not registered");
    if (const auto no = fetch_problem(s, r, request))
        fetch_failed(r, request.rid, no->reason, no->detail);
    else if (!send_chunks(s, r, request))
        fetch_failed(r, request.rid, "unavailable", "the image cannot be read now; try again later");
    answer(r, verdict::accepted, "");
}

/// Nothing when the request may be served; then its rid is pinned.
std::optional<problem> service::impl::fetch_problem(slot& s, const report& r, const fetch_request& request) {
    if (!r.response_topic.empty() && !own_response_topic(s.device_id, r.response_topic))
        return problem{0, "bad_response_topic", "the response topic must lie below device/" + s.device_id + "/"};
    if (!s.open || !offer_outstanding(s.open->view.row))
        return problem{0, "no_update", "no update has been offered to this device"};
    const auto& row = s.open->view.row;
    if (request.update_id && *request.update_id != to_string(row.id))
        return problem{0, "wrong_update", "that update is not open for this device"};
    const auto firmware = firmware_of(s);
    if (!firmware) return problem{0, "unavailable", "the firmware cannot be read now; try again later"};
    if (firmware->state == storage::firmware_state::revoked) return problem{0, "revoked", "this firmware was revoked"};
    if (const auto* known = s.transfers.find(r.from.connection, request.rid)) {
        if (known->update_id == row.id) return std::nullopt;
        return problem{0, "rid_in_use", "this rid stands for an earlier update; choose another"};
    }
    if (const auto fresh = fresh_firmware_of(s); fresh && fresh->state == storage::firmware_state::revoked)
        return problem{0, "revoked", "this firmware was revoked"};
    const transfer t{row.id, row.attempt};
    if (!s.holds(r.from.connection)) return problem{0, "not_connected", "this connection is gone"};
    if (transfers >= limits.transfers_max || !s.transfers.pin(r.from.connection, request.rid, t))
        return problem{0, "busy", "too many transfers; use one rid, or try again later"};
    ++transfers;
    return std::nullopt;
}

bool service::impl::send_chunks(slot& s, const report& r, const fetch_request& request) {
    const auto firmware = firmware_of(s);
    const auto sha256 = sha256_of(*firmware);
    std::uint64_t end = 0;
    for (const auto& range : plan_chunks(request, static_cast<std::uint64_t>(firmware->size))) {
        broker_port::chunk c;
        if (range.length > 0) {
            auto data = blocks.read(sha256, range.offset, range.length);
            if (!data || data->size() != range.length) return false;
            c.data = std::move(*data);
        }
        c.to = r.from.connection;
        c.topic = fetch_data_topic(s.device_id, request.rid, range.offset);
        c.response_topic = r.response_topic;
        c.correlation = r.correlation;
        c.offset = range.offset;
        if (range.length > 0) end = range.offset + range.length;
        ++count.chunks;
        count.chunk_bytes += range.length;
        broker.deliver(std::move(c));
    }
    if (end > 0) book_bytes(s, s.open->view.row.attempt, static_cast<std::int64_t>(end));
    return true;
}

} // namespace fb::fota
