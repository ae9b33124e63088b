#include <map>
#include <memory>

#include "broker/app/commands.hpp"
#include "broker/app/serve.hpp"
#include "broker/app/serve_flags.hpp"

namespace fb::app {
namespace {

template <class Enum>
CLI::CheckedTransformer one_of(std::map<std::string, Enum> words) {
    return CLI::CheckedTransformer(std::move(words), CLI::ignore_case);
}

void add_listener_options(CLI::App& command, serve_flags& f) {
    command
        .add_option("--listen", f.listen,
                    "MQTT on mqtt://HOST:PORT, mqtts:// (TLS), ws://HOST:PORT/PATH, wss:// (WebSocket) or "
                    "unix:///PATH; repeat for more")
        ->option_text("URL");
    command.add_option("--http", f.http, "REST API and firmware on https://HOST:PORT; http:// on this machine only")
        ->option_text("URL");
    command.add_flag("--allow-anonymous", f.allow_anonymous, "Let clients without a certificate in");
    command.add_option("--cert", f.cert, "Server certificate, PEM")->option_text("FILE");
    command.add_option("--key", f.key, "Its private key, PEM")->option_text("FILE");
    command.add_option("--client-ca", f.client_ca, "CA of the clients; without --allow-anonymous they must have one")
        ->option_text("FILE");
    command
        .add_option("--password-file", f.password_file, "Users, as `fotabroker passwd` and mosquitto_passwd write them")
        ->option_text("FILE");
    command.add_option("--device-identity", f.identity, "What makes a peer a device; client-id is for trying things")
        ->option_text("certificate|client-id")
        ->transform(one_of<device_identity>(
            {{"certificate", device_identity::certificate}, {"client-id", device_identity::client_id}}));
}

void add_other_options(CLI::App& command, serve_flags& f) {
    command
        .add_option("--data-dir", f.data_dir, "Where everything is kept (default " + config{}.data_dir.string() + ")")
        ->option_text("DIR");
    command
        .add_option("--database", f.database,
                    "FOTA's data: sqlite, or postgresql://USER@HOST/DATABASE (default sqlite)")
        ->option_text("URL");
    command.add_option("--database-password-file", f.database_password_file, "Its first line is PostgreSQL's password")
        ->option_text("FILE");
    command.add_option("--shards", f.shards, "Threads for MQTT; 0: one for every two cores")
        ->option_text("N")
        ->check(CLI::Range(0, 256));
    command.add_option("--durability", f.durability, "When a QoS 1 or 2 message counts as safe (default auto)")
        ->option_text("auto|none|batched|strict")
        ->transform(one_of<durability_class>({{"auto", durability_class::automatic},
                                              {"none", durability_class::none},
                                              {"batched", durability_class::batched},
                                              {"strict", durability_class::strict}}));
    command.add_option("--log-level", f.level, "How much to say (default info)")
        ->option_text("trace|debug|info|warn|error")
        ->transform(one_of<log_level>({{"trace", log_level::trace},
                                       {"debug", log_level::debug},
                                       {"info", log_level::info},
                                       {"warn", log_level::warn},
                                       {"error", log_level::error}}));
    command.add_option("--log-format", f.format, "How to say it (default text)")
        ->option_text("text|json")
        ->transform(one_of<log_format>({{"text", log_format::text}, {"json", log_format::json}}));
}

constexpr const char* examples =
    R"(Without a file and without listeners: mqtts on 8883 and https on 8443, certificates from DIR/certs.

Examples:
  fotabroker serve --config /etc/fotabroker.toml
  fotabroker serve --listen mqtt://127.0.0.1:1883 --allow-anonymous --data-dir /tmp/fb
  fotabroker serve --listen mqtts://0.0.0.0:8883 --http https://0.0.0.0:8443 --data-dir /tmp/fb \
      --cert server.crt --key server.key --client-ca ca.crt)";

} // namespace

void add_serve_command(CLI::App& root, action& chosen) {
    auto* command = root.add_subcommand("serve", "Run the broker until Ctrl-C or SIGTERM");
    command->footer(examples);
    const auto flags = std::make_shared<serve_flags>();
    command->add_option("--config", flags->config_file, "Configuration, TOML; flags win over it")->option_text("FILE");
    add_listener_options(*command, *flags);
    add_other_options(*command, *flags);
    command->callback([flags, &chosen] {
        chosen = [flags] {
            const auto c = make_config(*flags);
            require_certificates(c);
            return serve(c);
        };
    });
}

} // namespace fb::app
