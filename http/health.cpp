// /healthz (the process and what it was told to check), /readyz (database and FOTA answer as well), /metrics.
#include "http/handlers.hpp"
#include "http/json.hpp"

namespace fb::http {

namespace {

struct finding {
    std::string name;
    bool well = false;
    std::string text;
};

std::vector<finding> ask_checks(const context& ctx) {
    std::vector<finding> all;
    for (const auto& check : ctx.checks) {
        auto [well, text] = check.ask();
        all.push_back({check.name, well, std::move(text)});
    }
    return all;
}

response report(const context& ctx, const std::vector<finding>& all) {
    bool well = true;
    json_text out;
    out.begin_object();
    out.member("version", ctx.config.version);
    out.key("checks");
    out.begin_array();
    for (const auto& each : all) {
        well = well && each.well;
        out.begin_object();
        out.member("name", each.name);
        out.member("ok", each.well);
        out.member("text", each.text);
        out.end_object();
    }
    out.end_array();
    out.end_object();
    auto text = out.take();
    if (well) return json_response(200, "{\"status\":\"ok\"," + text.substr(1));
    problem ill{503, "unhealthy", "a check failed; see \"checks\""};
    ill.members = text.substr(1, text.size() - 2);
    return problem_response(ill);
}

task<or_problem<fota::counters>> fota_counters(context& ctx) {
    std::function<void(fota::service&, storage::timestamp, fota::reply<fota::counters>)> call =
        [](fota::service& service, storage::timestamp, fota::reply<fota::counters> done) {
            done(service.statistics(), {});
        };
    co_return co_await ctx.ask<fota::counters>(std::move(call));
}

void metric(std::string& out, const char* name, const char* type, std::uint64_t value) {
    out += std::string("# TYPE ") + name + " " + type + "\n" + name + " " + std::to_string(value) + "\n";
}

void own_metrics(std::string& out, const context& ctx) {
    const auto& c = ctx.count;
    out += "# TYPE fotabroker_http_answers_total counter\n";
    for (std::size_t hundred = 2; hundred < c.answers.size(); ++hundred)
        out += "fotabroker_http_answers_total{status=\"" + std::to_string(hundred) + "xx\"} " +
               std::to_string(c.answers[hundred]) + "\n";
    metric(out, "fotabroker_http_connections", "gauge", ctx.connections_open);
    metric(out, "fotabroker_http_connections_total", "counter", c.connections);
    metric(out, "fotabroker_http_connections_refused_total", "counter", c.connections_refused);
    metric(out, "fotabroker_http_body_bytes_in_total", "counter", c.bytes_in);
    metric(out, "fotabroker_http_body_bytes_out_total", "counter", c.bytes_out);
    metric(out, "fotabroker_http_uploads_total", "counter", c.uploads);
    metric(out, "fotabroker_http_downloads_total", "counter", c.downloads);
    metric(out, "fotabroker_http_event_subscribers", "gauge", ctx.events.size());
}

void check_metrics(std::string& out, const std::vector<finding>& all) {
    out += "# HELP fotabroker_check_ok What /healthz says of each part; 0: it is in trouble\n"
           "# TYPE fotabroker_check_ok gauge\n";
    for (const finding& each : all)
        out += "fotabroker_check_ok{check=\"" + each.name + "\"} " + (each.well ? "1\n" : "0\n");
}

void fota_metrics(std::string& out, const fota::counters& c) {
    metric(out, "fotabroker_fota_reports_accepted_total", "counter", c.reports_accepted);
    metric(out, "fotabroker_fota_reports_malformed_total", "counter", c.reports_malformed);
    metric(out, "fotabroker_fota_reports_refused_total", "counter", c.reports_refused);
    metric(out, "fotabroker_fota_reports_duplicate_total", "counter", c.reports_duplicate);
    metric(out, "fotabroker_fota_offers_total", "counter", c.offers);
    metric(out, "fotabroker_fota_chunks_total", "counter", c.chunks);
    metric(out, "fotabroker_fota_chunk_bytes_total", "counter", c.chunk_bytes);
    metric(out, "fotabroker_fota_store_failures_total", "counter", c.store_failures);
}

} // namespace

task<response> healthz(context& ctx, request&) { co_return report(ctx, ask_checks(ctx)); }

task<response> readyz(context& ctx, request&) {
    auto all = ask_checks(ctx);
    auto job = ctx.on_pool([](storage::fota_reader& reader) { return reader.find_token("readyz"); });
    auto read = co_await std::move(job);
    all.push_back({"database", static_cast<bool>(read), read ? "answers" : read.err().text});
    auto counted = co_await fota_counters(ctx);
    all.push_back({"updates", static_cast<bool>(counted), counted ? "answers" : counted.why().detail});
    co_return report(ctx, all);
}

task<response> metrics(context& ctx, request& r) {
    if (!ctx.config.metrics_anonymous) {
        if (auto refused = co_await authenticate(ctx, r)) co_return problem_response(*refused);
        if (auto refused = require(r, role::viewer)) co_return problem_response(*refused);
    }
    response answer;
    answer.headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}, {"Cache-Control", "no-store"}};
    own_metrics(answer.body, ctx);
    check_metrics(answer.body, ask_checks(ctx));
    if (const auto counted = co_await fota_counters(ctx)) fota_metrics(answer.body, *counted);
    for (const auto& source : ctx.sources) source(answer.body);
    co_return answer;
}

} // namespace fb::http
