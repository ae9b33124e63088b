#include "http/handlers.hpp"
#include "http/json.hpp"
#include "http/shapes.hpp"

namespace fb::http {

namespace {

problem no_firmware(const std::string& id) { return {404, "unknown_firmware", "there is no firmware \"" + id + "\""}; }

response firmware_response(const context& ctx, const storage::firmware& row) {
    json_text out;
    write(out, row, ctx.config.public_url);
    return json_response(200, out.take());
}

} // namespace

task<response> list_firmwares(context& ctx, request& r) {
    auto q = list_query_of(r.target);
    if (!q) co_return problem_response(q.why());
    auto job = ctx.on_pool([q = *q](storage::fota_reader& reader) { return reader.list_firmwares(q); });
    auto page = co_await std::move(job);
    if (!page) co_return problem_response(from_storage(page.err()));
    co_return page_response(
        *page, [&](json_text& out, const storage::firmware& row) { write(out, row, ctx.config.public_url); });
}

task<response> get_firmware(context& ctx, request& r) {
    const auto id = storage::parse_id<storage::firmware_uuid>(r.parameters[0]);
    if (!id) co_return problem_response(no_firmware(r.parameters[0]));
    auto job = ctx.on_pool([id = *id](storage::fota_reader& reader) { return reader.find_firmware(id); });
    auto row = co_await std::move(job);
    if (!row) co_return problem_response(from_storage(row.err()));
    if (!*row) co_return problem_response(no_firmware(r.parameters[0]));
    co_return firmware_response(ctx, **row);
}

task<response> revoke_firmware(context& ctx, request& r) {
    const auto& id = r.parameters[0];
    if (!storage::parse_uuid(id)) co_return problem_response(no_firmware(id));
    std::function<void(fota::service&, storage::timestamp, fota::reply<storage::firmware>)> call =
        [id, by = r.who->name](fota::service& service, storage::timestamp now, fota::reply<storage::firmware> done) {
            service.revoke_firmware(id, by, now, std::move(done));
        };
    auto row = co_await ctx.ask<storage::firmware>(std::move(call));
    if (!row) co_return problem_response(row.why());
    co_return firmware_response(ctx, *row);
}

} // namespace fb::http
