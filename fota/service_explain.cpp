// Why is this device updated now, or not: in words; and what memory knows better than the database.
#include "fota/service_impl.hpp"

namespace fb::fota {

void service::explain(const std::string& device_id, timestamp now, reply<explanation> done) {
    auto& self = *impl_;
    self.see(now);
    self.enqueue(self.obtain(device_id), [&self, done](slot& s) {
        if (!self.ensure_loaded(s)) return done(std::nullopt, {503, "unavailable", "the database cannot be read now"});
        if (!s.row) return done(std::nullopt, {404, "not_found", "there is no device " + s.device_id});
        done(self.explain(s), {});
    });
}

explanation service::impl::explain(slot& s) {
    if (s.open) return {s.open->view, explain_open(s)};
    explanation out;
    if (const auto latest = store.reader().find_latest_update(s.device_id)) out.update = *latest;
    out.reasons.push_back({"no_open_update", "no update is open for this device"});
    if (out.update) {
        const auto& row = out.update->row;
        out.reasons.push_back({storage::to_string(*row.state), "the last one, to " + out.update->firmware_version +
                                                                   ", ended at " +
                                                                   storage::format_timestamp(row.state_at)});
        if (row.error_code)
            out.reasons.push_back({*row.error_code, row.error_text.value_or("the reason it ended with")});
    }
    if (s.row->updates_blocked_until && now < *s.row->updates_blocked_until)
        out.reasons.push_back({"blocked", "after " + std::to_string(s.row->fail_streak) +
                                              " failures in a row new updates are refused before " +
                                              storage::format_timestamp(*s.row->updates_blocked_until)});
    return out;
}

namespace {

std::string owner_of(const slot& s) { return s.row->gateway_id ? to_string(*s.row->gateway_id) : "(none yet)"; }

} // namespace

std::vector<explain_reason> service::impl::explain_open(slot& s) {
    std::vector<explain_reason> reasons;
    const auto& row = s.open->view.row;
    const auto name = storage::to_string(*row.state);
    if (!ours(s)) {
        reasons.push_back({"other_gateway",
                           "the device belongs to gateway " + owner_of(s) + ", which decides; the update is " + name});
    } else if (row.state == update_state::pending) {
        if (auto why = obstacle(s))
            reasons.push_back(std::move(*why));
        else
            reasons.push_back({"next", "the command is about to be published"});
    } else {
        std::string text = std::string("the update is ") + name;
        if (row.step_deadline) text += " until " + storage::format_timestamp(*row.step_deadline) + " at the latest";
        reasons.push_back({name, text});
        if (s.connections.empty()) reasons.push_back({"offline", "the device is not connected"});
    }
    if (row.attempt > 1)
        reasons.push_back({"attempt", "this is attempt " + std::to_string(row.attempt) +
                                          "; the one before ended with " + row.error_code.value_or("a failure")});
    return reasons;
}

void service::live(std::vector<std::string> device_ids, reply<std::vector<live_device>> done) {
    std::vector<live_device> out;
    for (auto& id : device_ids) {
        const auto* s = impl_->peek(id);
        if (!s) continue;
        live_device d{std::move(id), s->online(), s->last_seen, std::nullopt};
        if (s->open) d.open_update = s->open->view;
        out.push_back(std::move(d));
    }
    done(std::move(out), {});
}

} // namespace fb::fota
