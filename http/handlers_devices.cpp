#include "http/handlers.hpp"
#include "http/json.hpp"
#include "http/shapes.hpp"

namespace fb::http {

namespace {

const fota::live_device* find(const live_devices& live, const std::string& id) {
    const auto found = live.find(id);
    return found == live.end() ? nullptr : &found->second;
}

problem no_device(const std::string& id) { return {404, "unknown_device", "there is no device \"" + id + "\""}; }

task<response> device_response(context& ctx, storage::device row) {
    std::vector<std::string> ids{row.device_id};
    const auto live = co_await live_of(ctx, std::move(ids));
    json_text out;
    // The row alone is an answer too, just not as fresh.
    write(out, row, live ? find(*live, row.device_id) : nullptr);
    co_return json_response(200, out.take());
}

or_problem<storage::patch_device> parse_patch(const request& r) {
    auto body = json_object::parse(r.body_text);
    if (!body) return std::move(body.why());
    if (auto refused = body->refuse_unknown({"name", "type", "tags"})) return std::move(*refused);
    auto name = body->text("name", 128);
    if (!name) return std::move(name.why());
    auto type = body->text("type", 64);
    if (!type) return std::move(type.why());
    auto tags = body->texts("tags", 32, 64);
    if (!tags) return std::move(tags.why());
    if (!*name && !*type && !*tags) return problem{400, "nothing_to_do", "the body names none of name, type, tags"};
    if (*type && (*type)->empty()) return problem{400, "invalid_body", "\"type\" must not be empty"};
    storage::patch_device change{r.parameters[0], std::move(*name), std::move(*type), {}};
    if (*tags) change.tags = to_json(**tags);
    return change;
}

} // namespace

task<response> list_devices(context& ctx, request& r) {
    auto q = list_query_of(r.target);
    if (!q) co_return problem_response(q.why());
    auto job = ctx.on_pool([q = *q](storage::fota_reader& reader) { return reader.list_devices(q); });
    auto page = co_await std::move(job);
    if (!page) co_return problem_response(from_storage(page.err()));
    std::vector<std::string> ids;
    for (const auto& row : page->items) ids.push_back(row.device_id);
    auto live = co_await live_of(ctx, std::move(ids));
    if (!live) co_return problem_response(live.why());
    co_return page_response(
        *page, [&](json_text& out, const storage::device& row) { write(out, row, find(*live, row.device_id)); });
}

task<response> get_device(context& ctx, request& r) {
    const auto& id = r.parameters[0];
    auto job = ctx.on_pool([id](storage::fota_reader& reader) { return reader.find_device(id); });
    auto row = co_await std::move(job);
    if (!row) co_return problem_response(from_storage(row.err()));
    if (!*row) co_return problem_response(no_device(id));
    co_return co_await device_response(ctx, std::move(**row));
}

task<response> patch_device(context& ctx, request& r) {
    auto change = parse_patch(r);
    if (!change) co_return problem_response(change.why());
    std::function<void(fota::service&, storage::timestamp, fota::reply<storage::device>)> call =
        [change = *change, by = r.who->name](fota::service& service, storage::timestamp now,
                                             fota::reply<storage::device> done) {
            service.patch_device(change, by, now, std::move(done));
        };
    auto row = co_await ctx.ask<storage::device>(std::move(call));
    if (!row) co_return problem_response(row.why());
    co_return co_await device_response(ctx, std::move(*row));
}

task<response> explain_device(context& ctx, request& r) {
    const auto& id = r.parameters[0];
    std::function<void(fota::service&, storage::timestamp, fota::reply<fota::explanation>)> call =
        [id](fota::service& service, storage::timestamp now, fota::reply<fota::explanation> done) {
            service.explain(id, now, std::move(done));
        };
    auto explained = co_await ctx.ask<fota::explanation>(std::move(call));
    if (!explained) co_return problem_response(explained.why());
    json_text out;
    out.begin_object();
    out.member("device_id", id);
    out.key("update");
    if (explained->update)
        write(out, *explained->update);
    else
        out.value(nullptr);
    out.key("reasons");
    out.begin_array();
    for (const auto& reason : explained->reasons) {
        out.begin_object();
        out.member("code", reason.code);
        out.member("text", reason.text);
        out.end_object();
    }
    out.end_array();
    out.end_object();
    co_return json_response(200, out.take());
}

} // namespace fb::http
