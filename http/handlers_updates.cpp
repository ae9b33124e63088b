#include "http/handlers.hpp"
#include "http/json.hpp"
#include "http/shapes.hpp"

namespace fb::http {

namespace {

constexpr std::size_t devices_per_trigger_max = 10'000;

or_problem<fota::trigger_request> parse_trigger(const request& r) {
    auto body = json_object::parse(r.body_text);
    if (!body) return std::move(body.why());
    if (auto refused = body->refuse_unknown({"firmware_id", "device_ids", "device_type", "allow_downgrade"}))
        return std::move(*refused);
    auto firmware = body->text("firmware_id", 64);
    if (!firmware) return std::move(firmware.why());
    if (!*firmware || !storage::parse_uuid(**firmware))
        return problem{400, "invalid_body", "\"firmware_id\" must be the id of a firmware"};
    auto devices = body->texts("device_ids", devices_per_trigger_max, 128);
    if (!devices) return std::move(devices.why());
    auto type = body->text("device_type", 64);
    if (!type) return std::move(type.why());
    auto downgrade = body->boolean("allow_downgrade", false);
    if (!downgrade) return std::move(downgrade.why());
    if (devices->has_value() == type->has_value())
        return problem{400, "invalid_body", "the body must name either \"device_ids\" or \"device_type\""};
    if (*devices && (*devices)->empty()) return problem{400, "invalid_body", "\"device_ids\" must not be empty"};
    // Putting an older version on devices is not everyday work: it takes the role that approves rollouts.
    if (*downgrade && r.who->rights < role::approver)
        return problem{403, "forbidden", "\"allow_downgrade\" needs the role approver or admin"};
    return fota::trigger_request{**firmware, devices->value_or(std::vector<std::string>{}), *type, *downgrade,
                                 r.who->name};
}

std::string trigger_members(const fota::trigger_answer& answer) {
    json_text out;
    out.begin_object();
    out.key("updates");
    out.begin_array();
    for (const auto& each : answer.updates) write(out, each);
    out.end_array();
    out.key("refused");
    out.begin_array();
    for (const auto& each : answer.refused) {
        out.begin_object();
        out.member("device_id", each.device_id);
        out.member("reason", each.reason);
        out.member("detail", each.detail);
        out.end_object();
    }
    out.end_array();
    out.end_object();
    return out.take();
}

response trigger_response(const fota::trigger_answer& answer) {
    auto text = trigger_members(answer);
    if (!answer.updates.empty()) return json_response(answer.created ? 201 : 200, std::move(text));
    problem none{422, "all_refused", "no device was given this update; \"refused\" says why for each"};
    if (answer.refused.empty()) none = {422, "no_devices", "there is no device of that type"};
    none.members = text.substr(1, text.size() - 2);
    return problem_response(none);
}

problem no_update(const std::string& id) { return {404, "unknown_update", "there is no update \"" + id + "\""}; }

std::optional<storage::update_uuid> update_id_of(const request& r) {
    return storage::parse_id<storage::update_uuid>(r.parameters[0]);
}

struct update_and_events {
    storage::result<std::optional<storage::update_view>> update;
    storage::result<std::vector<storage::update_event>> events;
};

} // namespace

task<response> trigger_updates(context& ctx, request& r) {
    auto wanted = parse_trigger(r);
    if (!wanted) co_return problem_response(wanted.why());
    std::function<void(fota::service&, storage::timestamp, fota::reply<fota::trigger_answer>)> call =
        [wanted = *wanted](fota::service& service, storage::timestamp now, fota::reply<fota::trigger_answer> done) {
            service.trigger(wanted, now, std::move(done));
        };
    auto answer = co_await ctx.ask<fota::trigger_answer>(std::move(call));
    if (!answer) co_return problem_response(answer.why());
    co_return trigger_response(*answer);
}

task<response> list_updates(context& ctx, request& r) {
    auto q = list_query_of(r.target);
    if (!q) co_return problem_response(q.why());
    auto job = ctx.on_pool([q = *q](storage::fota_reader& reader) { return reader.list_updates(q); });
    auto page = co_await std::move(job);
    if (!page) co_return problem_response(from_storage(page.err()));
    std::vector<std::string> ids;
    for (const auto& view : page->items)
        if (view.row.state && storage::is_open(*view.row.state)) ids.push_back(view.device_id);
    auto live = co_await live_of(ctx, std::move(ids));
    if (!live) co_return problem_response(live.why());
    co_return page_response(
        *page, [&](json_text& out, const storage::update_view& view) { write(out, freshest(view, *live)); });
}

task<response> get_update(context& ctx, request& r) {
    const auto id = update_id_of(r);
    if (!id) co_return problem_response(no_update(r.parameters[0]));
    auto job = ctx.on_pool([id = *id](storage::fota_reader& reader) {
        return update_and_events{reader.find_update(id), reader.events_of(id)};
    });
    auto found = co_await std::move(job);
    if (!found.update) co_return problem_response(from_storage(found.update.err()));
    if (!*found.update) co_return problem_response(no_update(r.parameters[0]));
    if (!found.events) co_return problem_response(from_storage(found.events.err()));
    const auto& view = **found.update;
    std::vector<std::string> ids{view.device_id};
    auto live = co_await live_of(ctx, std::move(ids));
    if (!live) co_return problem_response(live.why());
    json_text out;
    out.begin_object();
    write_members(out, freshest(view, *live));
    out.key("events");
    out.begin_array();
    for (const auto& event : *found.events) write(out, event);
    out.end_array();
    out.end_object();
    co_return json_response(200, out.take());
}

task<response> cancel_update(context& ctx, request& r) {
    if (!update_id_of(r)) co_return problem_response(no_update(r.parameters[0]));
    std::function<void(fota::service&, storage::timestamp, fota::reply<storage::update_view>)> call =
        [id = r.parameters[0], by = r.who->name](fota::service& service, storage::timestamp now,
                                                 fota::reply<storage::update_view> done) {
            service.cancel(id, by, now, std::move(done));
        };
    auto canceled = co_await ctx.ask<storage::update_view>(std::move(call));
    if (!canceled) co_return problem_response(canceled.why());
    json_text out;
    write(out, *canceled);
    co_return json_response(200, out.take());
}

task<response> list_results(context& ctx, request& r) {
    auto q = list_query_of(r.target);
    if (!q) co_return problem_response(q.why());
    auto job = ctx.on_pool([q = *q](storage::fota_reader& reader) { return reader.list_results(q); });
    auto page = co_await std::move(job);
    if (!page) co_return problem_response(from_storage(page.err()));
    co_return page_response(*page, [](json_text& out, const storage::result_view& view) { write(out, view); });
}

} // namespace fb::http
