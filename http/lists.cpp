#include "http/handlers.hpp"

namespace fb::http {

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
