#include "broker/app/serve_flags.hpp"

namespace fb::app {
namespace {

endpoint endpoint_of(const std::string& text, const char* flag, std::span<const std::string_view> schemes) {
    if (const auto e = parse_endpoint(text, schemes)) return *e;
    throw config_error(std::string(flag) + ": must be " + endpoint_forms(schemes) + ", not " + text);
}

void replace_listeners(config& c, const serve_flags& flags) {
    const bool from_flags_alone = !flags.config_file && !(flags.listen.empty() && flags.http.empty());

    if (from_flags_alone || !flags.listen.empty()) c.listeners.clear();
    for (const auto& text : flags.listen) c.listeners.emplace_back().url = endpoint_of(text, "--listen", mqtt_schemes);
    if (from_flags_alone || !flags.http.empty()) c.http.listeners.clear();
    for (const auto& text : flags.http) c.http.listeners.emplace_back().url = endpoint_of(text, "--http", http_schemes);
}

/// A path of the command line is relative to where the command was given, not to the data directory. A certificate of
/// one's own comes with no client CA unless that is given, too.
void replace_files(tls_files& files, const serve_flags& flags) {
    if (flags.cert) {
        files.cert = std::filesystem::absolute(*flags.cert);
        files.client_ca.clear();
    }
    if (flags.key) files.key = std::filesystem::absolute(*flags.key);
    if (flags.client_ca) files.client_ca = std::filesystem::absolute(*flags.client_ca);
}

void require_file(const config& c, const std::filesystem::path& file) {
    const auto path = resolve(c, file);
    std::error_code ignored;
    if (file.empty() || std::filesystem::exists(path, ignored)) return;
    const auto dir = path.parent_path().string();
    throw std::runtime_error(path.string() +
                             " does not exist. To make a CA and a server certificate:\n  fotabroker cert init --out " +
                             dir + "\n  fotabroker cert server --ca " + dir + " --name localhost --name " +
                             "HOST --out " + dir + "\nor name the files with --cert, --key and --client-ca.");
}

} // namespace

config make_config(const serve_flags& flags) {
    config c = flags.config_file ? load_config(*flags.config_file) : config{};
    if (flags.cert.has_value() != flags.key.has_value()) throw config_error("--cert and --key belong together");
    replace_listeners(c, flags);
    for (auto& l : c.listeners) {
        replace_files(l.tls, flags);
        if (flags.allow_anonymous) l.allow_anonymous = true;
        if (flags.identity) l.identity = *flags.identity;
    }
    for (auto& l : c.http.listeners) replace_files(l.tls, flags);
    if (flags.identity == device_identity::client_id) c.fota.auto_register_without_certificate = true;
    if (flags.password_file) c.auth.password_file = std::filesystem::absolute(*flags.password_file);
    if (flags.data_dir) c.data_dir = *flags.data_dir;
    if (flags.database) c.database.url = *flags.database;
    if (flags.database_password_file)
        c.database.password_file = std::filesystem::absolute(*flags.database_password_file);
    if (flags.shards) c.shards = *flags.shards;
    if (flags.durability) c.durability = *flags.durability;
    if (flags.level) c.log.level = *flags.level;
    if (flags.format) c.log.format = *flags.format;

    const auto faults = contradictions(c);
    if (!faults.empty()) throw config_error(faults.front());
    return c;
}

void require_certificates(const config& c) {
    const auto require = [&c](const endpoint& url, const tls_files& files) {
        if (!url.tls()) return;
        for (const auto& file : {files.cert, files.key, files.client_ca}) require_file(c, file);
    };
    for (const auto& l : c.listeners) require(l.url, l.tls);
    for (const auto& l : c.http.listeners) require(l.url, l.tls);
}

} // namespace fb::app
