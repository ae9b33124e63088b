// What the measuring subcommands have in common: where the broker is, how to speak to it, how a verdict is written.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "bench/fleet/json.hpp"
#include "bench/fleet/load_peer.hpp"
#include "bench/fleet/sequence_checker.hpp"

namespace fb::fleet {

struct target_arguments {
    std::string host = "127.0.0.1";
    std::uint16_t port = 1883;
    bool tls = false;
    std::string ca;
    std::string certificate;
    std::string key;
    int protocol = 5;
    std::string client_id;
    pid_t broker_pid = 0;
    bool json = false;
};

void add_target_options(CLI::App& c, target_arguments& t);

/// Owns what the peers' TLS refers to.
struct target {
    peer_options peer;
    std::unique_ptr<tls_client> tls;
    tls_credentials credentials;

    /// Throws std::runtime_error.
    explicit target(const target_arguments& t);
};

/// The exit code of a run that did not come to its end.
int report_error(const std::string& error);

void add_verification(json_object& o, const verification& v);
std::string verification_text(const verification& v);
/// The exit code of a run that did.
int exit_code_of(const verification& v);

} // namespace fb::fleet
