#include <charconv>

#include "http/handlers.hpp"

namespace fb::http {

namespace {

problem invalid(const char* name, const std::string& why) {
    return {400, "invalid_parameter", "the query parameter \"" + std::string(name) + "\" " + why};
}

std::optional<int> parse_limit(const std::string& text) {
    int limit = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (error != std::errc{} || end != text.data() + text.size() || limit < 1 || limit > 500) return std::nullopt;
    return limit;
}

bool known_state(const request& r, const std::string& state) {
    if (r.target.segments.back() == "firmwares") return storage::parse_firmware_state(state).has_value();
    return storage::parse_update_state(state).has_value();
}

} // namespace

or_problem<storage::list_query> list_query_of(const request& r) {
    storage::list_query q;
    if (const auto limit = r.target.parameter("limit")) {
        const auto number = parse_limit(*limit);
        if (!number) return invalid("limit", "must be a number from 1 to 500");
        q.limit = *number;
    }
    q.cursor = r.target.parameter("cursor");
    if (q.cursor && q.cursor->empty()) return invalid("cursor", "is empty");
    q.device_id = r.target.parameter("device_id");
    q.device_type = r.target.parameter("device_type");
    q.state = r.target.parameter("state");
    if (q.state && !known_state(r, *q.state)) return invalid("state", "names no state");
    q.status = r.target.parameter("status");
    if (q.status && !storage::parse_result_status(*q.status))
        return invalid("status", "must be success, failed or partial");
    q.firmware_id = r.target.parameter("firmware_id");
    if (q.firmware_id && !storage::parse_uuid(*q.firmware_id)) return invalid("firmware_id", "is not a uuid");
    return q;
}

task<or_problem<live_devices>> live_of(context& ctx, std::vector<std::string> device_ids) {
    live_devices by_id;
    if (device_ids.empty()) co_return by_id;
    using answer = std::vector<fota::live_device>;
    std::function<void(fota::service&, storage::timestamp, fota::reply<answer>)> call =
        [ids = std::move(device_ids)](fota::service& service, storage::timestamp, fota::reply<answer> done) {
            service.live(ids, std::move(done));
        };
    auto live = co_await ctx.ask<answer>(std::move(call));
    if (!live) co_return std::move(live.why());
    for (auto& each : *live) {
        auto id = each.device_id;
        by_id.emplace(std::move(id), std::move(each));
    }
    co_return by_id;
}

const storage::update_view& freshest(const storage::update_view& view, const live_devices& live) {
    const auto found = live.find(view.device_id);
    if (found == live.end() || !found->second.open_update || found->second.open_update->row.id != view.row.id)
        return view;
    return *found->second.open_update;
}

} // namespace fb::http
