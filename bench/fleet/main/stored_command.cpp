// retained and offline: what a broker keeps for those who are not there yet.
#include <cstdio>
#include <map>
#include <memory>

#include "bench/fleet/main/commands.hpp"
#include "bench/fleet/main/target.hpp"
#include "bench/fleet/offline_run.hpp"
#include "bench/fleet/retained_run.hpp"

namespace fb::fleet {
namespace {

void print_phase(const char* what, const phase& p) {
    if (p.messages() == 0) return; // the other part of the run
    std::printf("%llu %s in %.2f s: %.0f/s; %.0f per broker-CPU-second (%.2f s used)\n",
                static_cast<unsigned long long>(p.messages()), what, p.seconds(), p.per_second(),
                p.per_broker_cpu_second(), p.broker_cpu_s());
}

void add_phase(json_object& o, const std::string& what, const phase& p) {
    o.add(what.c_str(), p.messages()).add_real((what + "_seconds").c_str(), p.seconds());
    o.add_real((what + "_per_second").c_str(), p.per_second());
    o.add_real((what + "_broker_cpu_s").c_str(), p.broker_cpu_s());
    o.add_real((what + "_per_broker_cpu_second").c_str(), p.per_broker_cpu_second());
}

int run_retained(const target_arguments& t, retained_options o) {
    const target where(t);
    o.feed.peer = where.peer;
    o.broker_pid = t.broker_pid;
    const auto r = retained_run(std::move(o)).run(&interrupt_seen);
    if (!r.error.empty()) return report_error(r.error);
    if (t.json) {
        json_object j;
        add_phase(j, "read", r.read);
        add_verification(j, r.checked);
        std::printf("%s\n", j.str().c_str());
    } else {
        print_phase("retained messages read", r.read);
        std::printf("%s\n", verification_text(r.checked).c_str());
    }
    return exit_code_of(r.checked);
}

int run_offline(const target_arguments& t, offline_options o) {
    const target where(t);
    o.peer = where.peer;
    o.broker_pid = t.broker_pid;
    const auto r = offline_run(std::move(o)).run(&interrupt_seen);
    if (!r.error.empty()) return report_error(r.error);
    if (t.json) {
        json_object j;
        add_phase(j, "queued", r.queued);
        add_phase(j, "drained", r.drained);
        add_verification(j, r.checked);
        std::printf("%s\n", j.str().c_str());
    } else {
        print_phase("queued", r.queued);
        print_phase("drained", r.drained);
        std::printf("%s\n", verification_text(r.checked).c_str());
    }
    return exit_code_of(r.checked);
}

void add_part(CLI::App& c, stored_part& part) {
    const std::map<std::string, stored_part> parts = {
        {"all", stored_part::all}, {"fill", stored_part::fill}, {"collect", stored_part::collect}};
    c.add_option("--part", part, "fill the broker, or collect what another run filled it with")
        ->transform(CLI::CheckedTransformer(parts));
}

} // namespace

void add_retained_command(CLI::App& app, int& exit_code) {
    auto t = std::make_shared<target_arguments>();
    auto o = std::make_shared<retained_options>();
    auto quality = std::make_shared<int>(0);
    auto* c = app.add_subcommand("retained", "Many retained messages to one wildcard subscriber");
    add_target_options(*c, *t);
    c->add_option("--messages", o->feed.messages, "topics with one message each")->capture_default_str();
    c->add_option("--qos", *quality, "of the subscription")->check(CLI::Range(0, 1))->capture_default_str();
    c->add_option("--publishers", o->feed.publishers, "connections that store them")->capture_default_str();
    c->add_option("--inflight", o->feed.inflight, "messages on their way per publisher")->capture_default_str();
    c->add_option("--payload", o->feed.payload_bytes, "bytes, at least 24")->capture_default_str();
    c->add_option("--timeout", o->timeout_seconds, "seconds, then it failed")->capture_default_str();
    c->add_option("--topic-prefix", o->topic_prefix, "first level of the topics")->capture_default_str();
    add_part(*c, o->part);
    c->callback([t, o, quality, &exit_code] {
        o->quality = static_cast<proto::qos>(*quality);
        exit_code = run_retained(*t, *o);
    });
}

void add_offline_command(CLI::App& app, int& exit_code) {
    auto t = std::make_shared<target_arguments>();
    auto o = std::make_shared<offline_options>();
    auto* c = app.add_subcommand("offline", "Queues of persistent sessions, filled while they are away and drained");
    add_target_options(*c, *t);
    c->add_option("--sessions", o->sessions, "a multiple of the publishers")->capture_default_str();
    c->add_option("--messages", o->messages_each, "per session")->capture_default_str();
    c->add_option("--messages-large", o->messages_large, "in the first sessions, as many as there are publishers");
    c->add_option("--publishers", o->publishers, "connections that publish")->capture_default_str();
    c->add_option("--inflight", o->inflight, "messages on their way per publisher")->capture_default_str();
    c->add_option("--payload", o->payload_bytes, "bytes, at least 24")->capture_default_str();
    c->add_option("--timeout", o->timeout_seconds, "seconds, then it failed")->capture_default_str();
    c->add_option("--topic-prefix", o->topic_prefix, "first level of the topics")->capture_default_str();
    add_part(*c, o->part);
    c->callback([t, o, &exit_code] { exit_code = run_offline(*t, *o); });
}

} // namespace fb::fleet
