// Every setting of the program, with its default. Read once at start, constant afterwards; any thread may read it.
//
// The names are the keys of the TOML file (packaging/fotabroker.toml is the commented default, docs/configuration.md
// explains each); their ranges stand in config_keys.cpp. Relative certificate paths are looked up in data_dir.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "broker/app/endpoint.hpp"
#include "broker/core/acl.hpp"
#include "broker/core/limits.hpp"
#include "certs/tls_context.hpp"
#include "fota/settings.hpp"
#include "http/server.hpp"

namespace fb::app {

enum class log_level { trace, debug, info, warn, error };
enum class log_format { text, json };

struct log_config {
    log_level level = log_level::info;
    log_format format = log_format::text;
};

/// Files of a TLS listener. Without `client_ca` clients have no certificates.
struct tls_files {
    std::filesystem::path cert = "certs/server.crt";
    std::filesystem::path key = "certs/server.key";
    std::filesystem::path client_ca = "certs/ca.crt";
};

/// Who is a device: the peer's certificate says so, or, for trying things, its client id.
enum class device_identity { certificate, client_id };

struct mqtt_listener {
    endpoint url{"mqtts", "0.0.0.0", 8883};
    tls_files tls;
    bool allow_anonymous = false;
    device_identity identity = device_identity::certificate;
    std::vector<std::string> websocket_origins; // of ws and wss; empty: pages of any origin
    unsigned mode = 0660;                       // of a Unix socket
    bool proxy_protocol = false;
    std::vector<std::string> proxy_from; // networks of the balancers; empty: anybody
};

struct http_listener {
    endpoint url{"https", "0.0.0.0", 8443};
    tls_files tls;
    bool plain_beyond_loopback = false; // http:// is for trying things on this machine
};

/// The default for publications: `automatic` is strict when a persistent session or the retained store must keep the
/// message, else none.
enum class durability_class { automatic, none, batched, strict };

inline constexpr std::size_t topic_rule_filters_max = 64; // in all rules together

/// What differs for topics that match.
struct topic_rule {
    std::vector<std::string> filters;
    durability_class durability = durability_class::automatic;
};

struct http_config {
    std::vector<http_listener> listeners{http_listener{}};
    std::string public_url; // empty: made from the first listener
    http::settings server;  // all but its listeners and version, which the wiring fills in
};

struct auth_config {
    std::filesystem::path password_file; // empty: certificates only. Relative: looked up in data_dir
    bool users_are_devices = true;       // a user whose name can be a device id is that device
};

/// How the broker treats clients, where MQTT leaves it open.
struct mqtt_config {
    bool accept_mqtt_31 = false;
    bool check_payload_format = false;
    std::string server_reference; // empty: none
    bool server_moved = false;
    std::uint32_t sys_interval_s = 10;
};

struct state_config {
    std::uint64_t log_bytes = 64 << 20; // of the redo log in front of state.db
};

/// Where FOTA's data are: devices, firmwares, updates, results, tokens.
struct database_config {
    std::string url = "sqlite"; // fota.db in data_dir; or postgresql://..., without a password
    std::filesystem::path password_file;
    std::string schema = "public";
    std::chrono::seconds connect_timeout{5};
    std::chrono::seconds statement_timeout{10};
    std::chrono::seconds start_wait{5};
    std::int64_t spool_bytes_max = 64 << 20; // reports kept here while PostgreSQL is away

    bool sqlite() const { return url == "sqlite"; }
};

/// How much of the history stays; 0: all of it.
struct retention_config {
    std::chrono::days results{365};
    std::int64_t results_max = 1'000'000;
    std::chrono::days events{180}; // of updates that have ended
    std::int64_t events_max = 1'000'000;
    std::chrono::days audit{365}; // what operators did
    std::int64_t audit_max = 1'000'000;
};

/// This gateway among others on the same PostgreSQL.
struct gateway_config {
    std::string name;                               // for people; empty: this machine's
    std::string peer_url;                           // where the others fetch files; empty: as http.public_url
    std::filesystem::path peer_ca = "certs/ca.crt"; // who vouches for the others' HTTPS certificates
    std::chrono::seconds dead_after{20};            // without a word from a gateway, its devices are taken over
};

struct disk_config {
    std::uint64_t write_budget_bytes_per_day = 0; // 0: none
};

struct config {
    std::filesystem::path data_dir = "/var/lib/fotabroker";
    std::uint32_t shards = 0; // 0: one for every two cores
    log_config log;
    std::vector<mqtt_listener> listeners{mqtt_listener{}};
    durability_class durability = durability_class::automatic;
    std::vector<topic_rule> topics;
    state_config state;
    database_config database;
    gateway_config gateway;
    disk_config disk;
    retention_config retention;
    auth_config auth;
    mqtt_config mqtt;
    core::limits limits;
    http_config http;
    fota::settings fota;             // public_url and url_key are filled in by the wiring
    std::vector<core::acl_rule> acl; // rights beyond what a device has on its own topics
};

/// What is wrong with a configuration: one line per fault, each with file, line, column, key and what is allowed.
class config_error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Throws config_error. Keys that are absent have their defaults; `[[listener]]` and `[[http.listener]]` replace the
/// default listeners when there is at least one.
config load_config(const std::filesystem::path& file);
config parse_config(std::string_view text, const std::string& name);

/// Rules that join several keys (a plain listener admits nobody unless anonymous ones are allowed...), one line per
/// fault; empty when all is well. load_config has asked already; the command line asks again after its flags.
std::vector<std::string> contradictions(const config& c);

/// All settings as "key = value" lines, in the order of the file.
std::vector<std::string> describe(const config& c);

/// All keys there are, as "http.listener.cert".
std::vector<std::string> all_keys();

/// A certificate path of the configuration, as a path to open.
std::filesystem::path resolve(const config& c, const std::filesystem::path& file);

/// required: a client CA and no anonymous clients; optional: both; none: no client CA.
certs::client_certificates client_certificates_of(const tls_files& files, bool allow_anonymous);

/// What the listener's TLS context is made from.
certs::tls_settings tls_settings_of(const config& c, const tls_files& files, certs::client_certificates clients);

/// This machine's name, "localhost" when it has none.
std::string machine_name();

/// What download URLs begin with: http.public_url, else made from the first HTTP listener and the port it got (this
/// machine's name when it listens on all addresses). Empty without listeners.
std::string public_url_of(const config& c, std::uint16_t bound_port);

} // namespace fb::app
