#include "bench/fleet/main/target.hpp"

#include <unistd.h>

#include <cstdio>
#include <stdexcept>

namespace fb::fleet {

void add_target_options(CLI::App& c, target_arguments& t) {
    c.add_option("--host", t.host, "name or address of the broker")->capture_default_str();
    c.add_option("--port", t.port, "its port")->capture_default_str();
    c.add_flag("--tls", t.tls, "speak TLS; needs --ca");
    c.add_option("--ca", t.ca, "CA certificate of the broker");
    c.add_option("--cert", t.certificate, "client certificate, for all connections");
    c.add_option("--key", t.key, "and its key");
    c.add_option("--protocol", t.protocol, "4 is MQTT 3.1.1")->check(CLI::IsMember({4, 5}))->capture_default_str();
    c.add_option("--client-id-prefix", t.client_id, "client ids are this and a number");
    c.add_option("--broker-pid", t.broker_pid, "process to read CPU time and memory of");
    c.add_flag("--json", t.json, "one JSON object instead of text");
}

target::target(const target_arguments& t) {
    peer.broker = resolve(url{"mqtt", t.host, t.port, "/"});
    peer.v5 = t.protocol == 5;
    peer.client_id = t.client_id.empty() ? "load-" + std::to_string(getpid()) + '-' : t.client_id;
    if (!t.tls) return;
    if (t.ca.empty()) throw std::runtime_error("--tls needs --ca");
    tls = std::make_unique<tls_client>(t.ca);
    peer.tls = {tls.get(), t.host, nullptr, nullptr};
    if (t.certificate.empty()) return;
    credentials = load_credentials(t.certificate, t.key);
    peer.tls.credentials = &credentials;
}

int report_error(const std::string& error) {
    std::fprintf(stderr, "%s\n", error.c_str());
    return 3;
}

void add_verification(json_object& o, const verification& v) {
    o.add("lost", v.lost).add("doubled", v.doubled).add("reordered", v.reordered);
    o.add("stray", v.strays).add("refused", v.refused).add_flag("verified", v.clean());
}

std::string verification_text(const verification& v) {
    return "lost " + std::to_string(v.lost) + ", doubled " + std::to_string(v.doubled) + ", reordered " +
           std::to_string(v.reordered) + ", stray " + std::to_string(v.strays) + ", refused " +
           std::to_string(v.refused) + (v.clean() ? ": verified" : ": NOT CLEAN");
}

int exit_code_of(const verification& v) { return v.clean() ? 0 : 4; }

} // namespace fb::fleet
