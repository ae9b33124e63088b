#include <cstdio>
#include <map>
#include <memory>

#include "bench/fleet/connect_run.hpp"
#include "bench/fleet/json.hpp"
#include "bench/fleet/load_run.hpp"
#include "bench/fleet/main/commands.hpp"
#include "bench/fleet/main/target.hpp"

namespace fb::fleet {
namespace {

double micro(std::uint64_t ns) { return static_cast<double>(ns) / 1000; }

void print_load(const load_report& r, bool json) {
    const double cpu_s = static_cast<double>(r.broker_cpu_ns) / 1e9;
    const auto delivered = static_cast<double>(r.delivered);
    const double per_cpu_second = cpu_s > 0 ? delivered / cpu_s : 0;
    const double own_cpu_s = static_cast<double>(r.own_cpu_ns) / 1e9;
    if (!json) {
        std::printf(
            "%llu delivered in %.2f s: %.0f/s; %.0f per broker-CPU-second (%.2f s used; load generator %.2f s)\n"
            "latency p50 %.0f us, p99 %.0f us\n"
            "%s\n",
            static_cast<unsigned long long>(r.delivered), r.seconds, delivered / r.seconds, per_cpu_second, cpu_s,
            own_cpu_s, micro(r.latency.quantile_ns(0.5)), micro(r.latency.quantile_ns(0.99)),
            verification_text(r.checked).c_str());
        if (r.acknowledgements.count() > 0)
            std::printf("acknowledged %.0f/s, p50 %.0f us, p99 %.0f us\n",
                        static_cast<double>(r.acknowledgements.count()) / r.seconds,
                        micro(r.acknowledgements.quantile_ns(0.5)), micro(r.acknowledgements.quantile_ns(0.99)));
        return;
    }
    json_object o;
    o.add("published", r.published)
        .add("delivered", r.delivered)
        .add_real("seconds", r.seconds)
        .add_real("per_second", delivered / r.seconds);
    o.add_real("broker_cpu_s", cpu_s)
        .add_real("per_broker_cpu_second", per_cpu_second)
        .add_real("own_cpu_s", own_cpu_s);
    o.add_real("latency_p50_us", micro(r.latency.quantile_ns(0.5)));
    o.add_real("latency_p99_us", micro(r.latency.quantile_ns(0.99)));
    o.add_real("acknowledged_per_second", static_cast<double>(r.acknowledgements.count()) / r.seconds);
    o.add_real("acknowledged_p50_us", micro(r.acknowledgements.quantile_ns(0.5)));
    o.add_real("acknowledged_p99_us", micro(r.acknowledgements.quantile_ns(0.99)));
    add_verification(o, r.checked);
    std::printf("%s\n", o.str().c_str());
}

int run_load(const target_arguments& t, load_options o) {
    const target where(t);
    o.peer = where.peer;
    o.broker_pid = t.broker_pid;
    const auto report = load_run(std::move(o)).run(&interrupt_seen);
    if (!report.error.empty()) return report_error(report.error);
    print_load(report, t.json);
    return exit_code_of(report.checked);
}

int run_connect(const target_arguments& t, connect_options o) {
    const target where(t);
    o.peer = where.peer;
    o.broker_pid = t.broker_pid;
    const auto r = connect_run(std::move(o)).run(&interrupt_seen);
    if (!r.error.empty()) return report_error(r.error);
    const double per_second = r.connections / r.seconds;
    const double cpu_us = micro(r.broker_cpu_ns) / r.connections;
    if (t.json) {
        json_object j;
        j.add("connections", r.connections).add("resumed", r.resumed).add_real("seconds", r.seconds);
        j.add_real("per_second", per_second).add_real("broker_cpu_us_each", cpu_us);
        std::printf("%s\n", j.str().c_str());
    } else {
        std::printf("%u connections in %.2f s: %.0f/s, %u resumed, broker CPU %.0f us each\n", r.connections, r.seconds,
                    per_second, r.resumed, cpu_us);
    }
    return 0;
}

int run_idle(const target_arguments& t, idle_options o) {
    const target where(t);
    o.peer = where.peer;
    o.broker_pid = t.broker_pid;
    const auto r = idle_run(std::move(o)).run(&interrupt_seen);
    if (!r.error.empty()) return report_error(r.error);
    const double grown = static_cast<double>(r.resident_after_bytes) - static_cast<double>(r.resident_before_bytes);
    const double each = r.connections == 0 ? 0 : grown / r.connections;
    const double cpu_percent =
        r.quiet_seconds == 0 ? 0 : 100 * static_cast<double>(r.quiet_cpu_ns) / 1e9 / r.quiet_seconds;
    if (t.json) {
        json_object j;
        j.add("connections", r.connections).add("resident_before_bytes", r.resident_before_bytes);
        j.add("resident_after_bytes", r.resident_after_bytes).add_real("bytes_each", each);
        if (r.quiet_seconds > 0) j.add_real("cpu_percent", cpu_percent);
        std::printf("%s\n", j.str().c_str());
    } else {
        std::printf("%u idle connections: %.0f resident bytes each (%.1f MiB -> %.1f MiB)\n", r.connections, each,
                    static_cast<double>(r.resident_before_bytes) / 1048576,
                    static_cast<double>(r.resident_after_bytes) / 1048576);
        if (r.quiet_seconds > 0) std::printf("broker CPU in %.0f s: %.3f %% of a core\n", r.quiet_seconds, cpu_percent);
    }
    return 0;
}

} // namespace

void add_load_command(CLI::App& app, int& exit_code) {
    const std::map<std::string, load_shape> shapes = {{"fan-in", load_shape::fan_in},
                                                      {"fan-out", load_shape::fan_out},
                                                      {"pairs", load_shape::pairs},
                                                      {"spread", load_shape::spread}};
    auto t = std::make_shared<target_arguments>();
    auto o = std::make_shared<load_options>();
    auto quality = std::make_shared<int>(0);
    auto* c = app.add_subcommand("load", "Publish and subscribe in a closed loop, verify every delivery");
    add_target_options(*c, *t);
    c->add_option("--scenario", o->shape, "who sends to whom")->transform(CLI::CheckedTransformer(shapes))->required();
    c->add_option("--qos", *quality, "of publishes and subscriptions")->check(CLI::Range(0, 2))->capture_default_str();
    c->add_option("--publishers", o->publishers, "connections that publish")->capture_default_str();
    c->add_option("--subscribers", o->subscribers, "connections that subscribe")->capture_default_str();
    c->add_option("--filters", o->filters, "of all subscribers together; with spread")->capture_default_str();
    c->add_flag("--persistent", o->keep_sessions, "the subscribers' sessions are persistent");
    c->add_option("--messages", o->messages, "per publisher, instead of --seconds");
    c->add_option("--seconds", o->seconds, "measured time")->capture_default_str();
    c->add_option("--warm-up", o->warm_up_seconds, "seconds before that")->capture_default_str();
    c->add_option("--timeout", o->timeout_seconds, "seconds, then it failed")->capture_default_str();
    c->add_option("--inflight", o->inflight, "messages on their way per publisher")->capture_default_str();
    c->add_option("--payload", o->payload_bytes, "bytes, at least 24")->capture_default_str();
    c->add_option("--rate", o->rate_per_second, "messages per second of all publishers together");
    c->add_option("--topic-prefix", o->topic_prefix, "topics are <prefix>/p<number>")->capture_default_str();
    c->callback([t, o, quality, &exit_code] {
        o->quality = static_cast<proto::qos>(*quality);
        exit_code = run_load(*t, *o);
    });
}

void add_connect_command(CLI::App& app, int& exit_code) {
    auto t = std::make_shared<target_arguments>();
    auto o = std::make_shared<connect_options>();
    auto* c = app.add_subcommand("connect", "Connections per second");
    add_target_options(*c, *t);
    c->add_option("--count", o->count, "connections to make")->capture_default_str();
    c->add_option("--concurrency", o->concurrency, "at a time")->capture_default_str();
    c->add_option("--timeout", o->timeout_seconds, "seconds, then it failed")->capture_default_str();
    c->add_flag("--resume", o->resume, "resume TLS sessions");
    c->callback([t, o, &exit_code] { exit_code = run_connect(*t, *o); });
}

void add_idle_command(CLI::App& app, int& exit_code) {
    auto t = std::make_shared<target_arguments>();
    auto o = std::make_shared<idle_options>();
    auto* c = app.add_subcommand("idle", "Memory of idle connections, and CPU time that they cost");
    add_target_options(*c, *t);
    c->add_option("--connections", o->connections, "to hold open")->capture_default_str();
    c->add_option("--settle", o->settle_seconds, "seconds to wait before memory is read")->capture_default_str();
    c->add_option("--quiet", o->quiet_seconds, "seconds to take CPU time for, after that");
    c->add_option("--keep-alive", o->keep_alive_s, "seconds; clients ping in time");
    c->add_option("--timeout", o->timeout_seconds, "seconds, then it failed")->capture_default_str();
    c->callback([t, o, &exit_code] { exit_code = run_idle(*t, *o); });
}

} // namespace fb::fleet
