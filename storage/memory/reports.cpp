#include "storage/memory/reports.hpp"

#include <algorithm>
#include <tuple>

namespace fb::storage::memory {

namespace {

constexpr std::chrono::hours patience{24}; // with a device that says nothing, or takes nothing

/// What a firmware has of each state; `count` is called with each of its updates that has one.
template <class Count>
void each_update_of(const tables& t, const firmware_uuid& id, Count count) {
    for (const auto& [key, u] : t.updates)
        if (u.firmware_id == id && u.state) count(u);
}

bool is_failure(update_state s) {
    return s == update_state::failed || s == update_state::rejected || s == update_state::expired;
}

std::vector<firmware_failure> failures_of(const tables& t, const firmware_uuid& id) {
    std::map<std::pair<std::string, std::string>, firmware_failure> counted;
    each_update_of(t, id, [&](const update& u) {
        if (!is_failure(*u.state)) return;
        auto& one = counted[{to_string(*u.state), u.error_code.value_or("")}];
        one = {id, *u.state, u.error_code.value_or(""), one.updates + 1, std::max(one.last_at, u.state_at)};
    });
    std::vector<firmware_failure> out;
    for (auto& [key, one] : counted) out.push_back(std::move(one));
    std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.updates > b.updates; });
    return out;
}

/// The lowest value with `percent` of all at or below it.
std::optional<double> percentile_s(const std::vector<std::chrono::milliseconds>& sorted, std::size_t percent) {
    if (sorted.empty()) return std::nullopt;
    const std::size_t place = (sorted.size() * percent + 99) / 100;
    return static_cast<double>(sorted[place - 1].count()) / 1000;
}

std::pair<const char*, timestamp> stuck_since(const update& u, const device& d, timestamp now) {
    const bool waits = *u.state == update_state::scheduled || *u.state == update_state::pending;
    const timestamp heard = d.last_seen.value_or(u.created_at);
    const timestamp takes = std::max(u.state_at, u.not_before.value_or(u.state_at));
    if (waits && u.deadline && *u.deadline < now) return {"deadline_passed", *u.deadline};
    if (!waits && u.step_deadline && *u.step_deadline < now) return {"step_overdue", *u.step_deadline};
    if (!d.online && heard < now - patience) return {"silent", heard};
    if (*u.state == update_state::pending && d.online && takes < now - patience) return {"waiting", takes};
    return {nullptr, {}};
}

} // namespace

std::vector<fleet_version> fleet_versions(const tables& t) {
    const auto told = [](const std::optional<std::string>& text) {
        return text && text->empty() ? std::nullopt : text;
    };
    std::map<std::pair<std::optional<std::string>, std::optional<std::string>>, fleet_version> counted;
    for (const auto& [id, d] : t.devices) {
        auto& one = counted[{told(d.type), told(d.firmware_version)}];
        one = {told(d.type), told(d.firmware_version), one.devices + 1, one.online + (d.online ? 1 : 0)};
    }
    std::vector<fleet_version> out;
    for (auto& [key, one] : counted) out.push_back(std::move(one));
    return out;
}

std::vector<firmware_success> firmware_successes(const tables& t) {
    std::vector<firmware_success> out;
    for (const auto& [id, f] : t.firmwares) {
        if (!f.state) continue;
        firmware_success one;
        std::tie(one.firmware_id, one.device_type, one.version) = std::tie(id, f.device_type, f.version);
        each_update_of(t, id, [&](const update& u) {
            ++one.updates;
            one.in_progress += is_open(*u.state);
            one.succeeded += *u.state == update_state::succeeded;
            one.failed += *u.state == update_state::failed;
            one.rejected += *u.state == update_state::rejected;
            one.expired += *u.state == update_state::expired;
            one.retries += u.attempt - 1;
        });
        one.decided = one.succeeded + one.failed + one.rejected + one.expired;
        if (one.decided > 0) one.success_rate = static_cast<double>(one.succeeded) / static_cast<double>(one.decided);
        one.failures = failures_of(t, id);
        out.push_back(std::move(one));
    }
    return out;
}

std::vector<update_durations> durations(const tables& t) {
    std::vector<update_durations> out;
    for (const auto& [id, f] : t.firmwares) {
        if (!f.state) continue;
        std::vector<std::chrono::milliseconds> took;
        each_update_of(t, id, [&](const update& u) {
            if (*u.state == update_state::succeeded) took.push_back(u.state_at - u.created_at);
        });
        std::sort(took.begin(), took.end());
        out.push_back({id, f.device_type, f.version, static_cast<std::int64_t>(took.size()), percentile_s(took, 50),
                       percentile_s(took, 90), percentile_s(took, 99)});
    }
    return out;
}

std::vector<stuck_device> stuck_devices(const tables& t) {
    const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    std::vector<stuck_device> out;
    for (const auto& [id, u] : t.updates) {
        const device* d = t.find_device(u.device_id);
        if (!u.state || !is_open(*u.state) || d == nullptr) continue;
        const auto [reason, since] = stuck_since(u, *d, now);
        if (reason == nullptr) continue;
        out.push_back({d->device_id, d->type, id, u.firmware_id, t.view_of(u).firmware_version, *u.state, u.attempt,
                       reason, since, d->online, d->last_seen});
    }
    return out;
}

} // namespace fb::storage::memory
