#include "broker/app/config.hpp"

#include <unistd.h>

#include <array>

#include "broker/app/config_keys.hpp"
#include "storage/postgres/open.hpp"

namespace fb::app {
namespace {

[[noreturn]] void refuse(const std::vector<std::string>& faults) {
    std::string all;
    for (const auto& line : faults) all += (all.empty() ? "" : "\n") + line;
    throw config_error(all);
}

config config_of(const toml::table& document, const std::string& name) {
    config out;
    fault_list faults{name, {}};
    read_table(document, fields_of(out), "", faults);
    if (faults.lines.empty()) {
        for (const auto& line : contradictions(out)) faults.lines.push_back(name + ": " + line);
    }
    if (!faults.lines.empty()) refuse(faults.lines);
    return out;
}

/// Runs a toml++ parser, its error in our words.
template <class Parse>
config parsed(const std::string& name, Parse parse) {
    try {
        return config_of(parse(), name);
    } catch (const toml::parse_error& e) {
        fault_list faults{name, {}};
        faults.add(e.source(), "not TOML", e.description());
        refuse(faults.lines);
    }
}

void check_listener(const mqtt_listener& l, bool passwords, std::vector<std::string>& faults) {
    const auto where = "listener " + to_string(l.url) + ": ";
    if (!l.url.tls() && !l.allow_anonymous && !passwords) {
        faults.push_back(where +
                         "without TLS nobody has a certificate to show, so nobody could connect: use mqtts://, or set "
                         "auth.password_file, or allow_anonymous = true");
    }
    if (l.url.tls() && l.tls.client_ca.empty() && !l.allow_anonymous && !passwords) {
        faults.push_back(where + "without client_ca no client has a certificate to show, so nobody could connect: set "
                                 "client_ca, or auth.password_file, or allow_anonymous = true");
    }
    if (l.identity == device_identity::client_id && !l.allow_anonymous) {
        faults.push_back(where + "device_identity = \"client-id\" is for peers without a certificate: it needs "
                                 "allow_anonymous = true");
    }
}

/// Options that would be passed over in silence.
void check_options(const mqtt_listener& l, std::vector<std::string>& faults) {
    const auto where = "listener " + to_string(l.url) + ": ";
    if (!l.websocket_origins.empty() && !l.url.websocket())
        faults.push_back(where + "websocket_origins is for ws:// and wss://");
    if (l.mode != mqtt_listener{}.mode && l.url.scheme != "unix") faults.push_back(where + "mode is for unix://");
    if (!l.proxy_from.empty() && !l.proxy_protocol)
        faults.push_back(where + "proxy_from says who may send a PROXY header: it needs proxy_protocol = true");
    if (!l.proxy_from.empty() && l.url.scheme == "unix")
        faults.push_back(where + "proxy_from is for addresses; who may use a Unix socket its mode says");
}

void check_listener(const http_listener& l, std::vector<std::string>& faults) {
    if (l.url.tls() || l.url.loopback() || l.plain_beyond_loopback) return;
    faults.push_back("http.listener " + to_string(l.url) +
                     ": tokens and firmware would cross the network in the clear: use https://, a loopback address, or "
                     "set plain_beyond_loopback = true");
}

void check_database(const database_config& c, std::vector<std::string>& faults) {
    if (!c.sqlite()) {
        if (const auto fault = storage::postgres::fault_of_url(c.url); !fault.empty())
            faults.push_back("database.url: " + fault + ". Or it is \"sqlite\"");
        if (c.schema.empty()) faults.push_back("database.schema: must be the name of a schema, \"public\" mostly");
    } else if (!c.password_file.empty()) {
        faults.push_back("database.password_file: is for PostgreSQL, and database.url is \"sqlite\"");
    }
}

} // namespace

config load_config(const std::filesystem::path& file) {
    if (!std::filesystem::exists(file)) throw config_error(file.string() + ": does not exist");
    return parsed(file.string(), [&file] { return toml::parse_file(file.string()); });
}

config parse_config(std::string_view text, const std::string& name) {
    return parsed(name, [&] { return toml::parse(text, name); });
}

std::vector<std::string> contradictions(const config& c) {
    std::vector<std::string> faults;
    for (const auto& l : c.listeners) {
        check_listener(l, !c.auth.password_file.empty(), faults);
        check_options(l, faults);
    }
    for (const auto& l : c.http.listeners) check_listener(l, faults);
    check_database(c.database, faults);
    const auto& base = c.http.public_url;
    if (!base.empty() && ((!base.starts_with("https://") && !base.starts_with("http://")) || base.ends_with('/'))) {
        faults.push_back("http.public_url: must be \"https://host[:port]\" without a slash at the end, not \"" + base +
                         "\"");
    }
    for (const auto& rule : c.acl) {
        if (rule.principal.empty()) {
            faults.push_back("acl: principal: must be a name, \"anonymous\", or \"*\" for everybody");
        }
    }
    std::size_t filters = 0;
    for (const auto& rule : c.topics) {
        if (rule.filters.empty()) faults.push_back("topic: filters: must have at least one topic filter");
        filters += rule.filters.size();
    }
    if (filters > topic_rule_filters_max) {
        faults.push_back("topic: filters: " + std::to_string(filters) + " in all, and at most " +
                         std::to_string(topic_rule_filters_max) + ": every message is compared with each");
    }
    if (c.mqtt.server_moved && c.mqtt.server_reference.empty()) {
        faults.push_back("mqtt.server_moved: where to? server_reference must say it");
    }
    if (c.limits.output_bytes_high > c.limits.output_bytes_max) {
        faults.push_back("limits.output_bytes_high: must not be above limits.output_bytes_max");
    }
    return faults;
}

std::vector<std::string> describe(const config& c) {
    config copy = c; // fields refer to something writable
    std::vector<std::string> lines;
    show_fields(fields_of(copy), "", lines);
    return lines;
}

std::vector<std::string> all_keys() {
    config any;
    std::vector<std::string> keys;
    list_keys(fields_of(any), "", keys);
    return keys;
}

std::filesystem::path resolve(const config& c, const std::filesystem::path& file) {
    return file.is_absolute() ? file : c.data_dir / file;
}

certs::client_certificates client_certificates_of(const tls_files& files, bool allow_anonymous) {
    if (files.client_ca.empty()) return certs::client_certificates::none;
    return allow_anonymous ? certs::client_certificates::optional : certs::client_certificates::required;
}

certs::tls_settings tls_settings_of(const config& c, const tls_files& files, certs::client_certificates clients) {
    certs::tls_settings out{resolve(c, files.cert), resolve(c, files.key), std::nullopt, clients};
    if (clients != certs::client_certificates::none) out.client_ca = resolve(c, files.client_ca);
    return out;
}

std::string machine_name() {
    std::array<char, 256> name{};
    return gethostname(name.data(), name.size() - 1) == 0 && name[0] != 0 ? name.data() : "localhost";
}

std::string public_url_of(const config& c, std::uint16_t bound_port) {
    if (!c.http.public_url.empty() || c.http.listeners.empty()) return c.http.public_url;
    auto url = c.http.listeners.front().url;
    if (url.host == "0.0.0.0" || url.host == "::") url.host = machine_name();
    url.port = bound_port;
    return to_string(url);
}

} // namespace fb::app
