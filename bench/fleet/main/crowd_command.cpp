#include <cstdio>
#include <memory>

#include "bench/fleet/crowd_run.hpp"
#include "bench/fleet/main/commands.hpp"
#include "bench/fleet/main/target.hpp"

namespace fb::fleet {
namespace {

void print_crowd(const crowd_report& r, bool json) {
    if (json) {
        json_object j;
        j.add("delivered", r.delivered).add("missing", r.missing);
        j.add_real("seconds", r.seconds).add("resident_before_bytes", r.resident_before_bytes);
        j.add("resident_max_bytes", r.resident_max_bytes);
        add_verification(j, r.checked);
        std::printf("%s\n", j.str().c_str());
        return;
    }
    std::printf("%llu delivered, %llu not given to those who fell behind; load for %.2f s\n"
                "resident %.1f MiB, at most %.1f MiB\n%s\n",
                static_cast<unsigned long long>(r.delivered), static_cast<unsigned long long>(r.missing), r.seconds,
                static_cast<double>(r.resident_before_bytes) / 1048576,
                static_cast<double>(r.resident_max_bytes) / 1048576, verification_text(r.checked).c_str());
}

int run_crowd(const target_arguments& t, crowd_options o) {
    const target where(t);
    o.peer = where.peer;
    o.broker_pid = t.broker_pid;
    const auto report = crowd_run(std::move(o)).run(&interrupt_seen);
    if (!report.error.empty()) return report_error(report.error);
    print_crowd(report, t.json);
    return exit_code_of(report.checked);
}

} // namespace

void add_crowd_command(CLI::App& app, int& exit_code) {
    auto t = std::make_shared<target_arguments>();
    auto o = std::make_shared<crowd_options>();
    auto* c = app.add_subcommand("crowd", "One publisher, many subscribers, some of them slow or stuck; verified");
    add_target_options(*c, *t);
    c->add_option("--subscribers", o->subscribers, "by turns at QoS 0 and 1")->capture_default_str();
    c->add_option("--slow", o->slow, "of them read a little now and then")->capture_default_str();
    c->add_option("--stuck", o->stuck, "of them read nothing until the load is over")->capture_default_str();
    c->add_option("--messages", o->messages, "to all")->capture_default_str();
    c->add_option("--payload", o->payload_bytes, "bytes, at least 24")->capture_default_str();
    c->add_option("--heavy-messages", o->heavy_messages, "to the slow and the stuck, besides")->capture_default_str();
    c->add_option("--heavy-payload", o->heavy_payload_bytes, "bytes, at least 24")->capture_default_str();
    c->add_option("--inflight", o->inflight, "messages on their way per publisher")->capture_default_str();
    c->add_option("--timeout", o->timeout_seconds, "seconds, then it failed")->capture_default_str();
    c->callback([t, o, &exit_code] { exit_code = run_crowd(*t, *o); });
}

} // namespace fb::fleet
