// The reports: counts over the whole fleet, out of the database's views.
#include "http/handlers.hpp"

namespace fb::http {

namespace {

void write(json_text& out, const storage::fleet_version& row) {
    out.begin_object();
    out.member("device_type", row.device_type);
    out.member("firmware_version", row.firmware_version);
    out.member("devices", row.devices);
    out.member("online", row.online);
    out.end_object();
}

void write(json_text& out, const storage::firmware_failure& row) {
    out.begin_object();
    out.member("state", storage::to_string(row.state));
    out.key("error_code");
    if (row.error_code.empty())
        out.value(nullptr);
    else
        out.value(row.error_code);
    out.member("updates", row.updates);
    out.member("last_at", row.last_at);
    out.end_object();
}

void write(json_text& out, const storage::firmware_success& row) {
    out.begin_object();
    out.member("firmware_id", storage::to_string(row.firmware_id));
    out.member("device_type", row.device_type);
    out.member("version", row.version);
    out.member("updates", row.updates);
    out.member("in_progress", row.in_progress);
    out.member("decided", row.decided);
    out.member("succeeded", row.succeeded);
    out.member("failed", row.failed);
    out.member("rejected", row.rejected);
    out.member("expired", row.expired);
    out.member("retries", row.retries);
    out.member("success_rate", row.success_rate);
    out.key("failures");
    out.begin_array();
    for (const auto& failure : row.failures) write(out, failure);
    out.end_array();
    out.end_object();
}

void write(json_text& out, const storage::update_durations& row) {
    out.begin_object();
    out.member("firmware_id", storage::to_string(row.firmware_id));
    out.member("device_type", row.device_type);
    out.member("version", row.version);
    out.member("succeeded", row.succeeded);
    out.member("p50_s", row.p50_s);
    out.member("p90_s", row.p90_s);
    out.member("p99_s", row.p99_s);
    out.end_object();
}

void write(json_text& out, const storage::stuck_device& row) {
    out.begin_object();
    out.member("device_id", row.device_id);
    out.member("device_type", row.device_type);
    out.member("update_id", storage::to_string(row.update_id));
    out.member("firmware_id", storage::to_string(row.firmware_id));
    out.member("version", row.version);
    out.member("state", storage::to_string(row.state));
    out.member("attempt", row.attempt);
    out.member("reason", row.reason);
    out.member("since", row.since);
    out.member("online", row.online);
    out.member("last_seen", row.last_seen);
    out.end_object();
}

template <class Row>
using list = storage::result<storage::page<Row>> (storage::fota_reader::*)(const storage::list_query&);

template <class Row>
task<response> report(context& ctx, request& r, list<Row> read) {
    auto q = list_query_of(r.target);
    if (!q) co_return problem_response(q.why());
    auto job = ctx.on_pool([q = *q, read](storage::fota_reader& reader) { return (reader.*read)(q); });
    auto page = co_await std::move(job);
    if (!page) co_return problem_response(from_storage(page.err()));
    co_return page_response(*page, [](json_text& out, const Row& row) { write(out, row); });
}

} // namespace

task<response> report_fleet(context& ctx, request& r) { return report(ctx, r, &storage::fota_reader::report_fleet); }

task<response> report_firmwares(context& ctx, request& r) {
    return report(ctx, r, &storage::fota_reader::report_firmwares);
}

task<response> report_durations(context& ctx, request& r) {
    return report(ctx, r, &storage::fota_reader::report_durations);
}

task<response> report_stuck(context& ctx, request& r) {
    return report(ctx, r, &storage::fota_reader::report_stuck_devices);
}

} // namespace fb::http
