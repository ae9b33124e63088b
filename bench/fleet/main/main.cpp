// fotabroker-fleet: simulated devices and load for an MQTT broker. See bench/README.md.
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <exception>

#include "bench/fleet/main/commands.hpp"

namespace fb::fleet {

volatile int interrupt_seen = 0;

namespace {

void raise_file_limit() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

} // namespace
} // namespace fb::fleet

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN); // OpenSSL writes without MSG_NOSIGNAL
    std::signal(SIGINT, [](int) { fb::fleet::interrupt_seen = 1; });
    std::signal(SIGTERM, [](int) { fb::fleet::interrupt_seen = 1; });
    CLI::App app{"Simulated devices and load for an MQTT broker", "fotabroker-fleet"};
    app.require_subcommand(1);
    int exit_code = 0;
    fb::fleet::add_devices_command(app, exit_code);
    fb::fleet::add_load_command(app, exit_code);
    fb::fleet::add_connect_command(app, exit_code);
    fb::fleet::add_idle_command(app, exit_code);
    fb::fleet::add_retained_command(app, exit_code);
    fb::fleet::add_offline_command(app, exit_code);
    fb::fleet::add_crowd_command(app, exit_code);
    fb::fleet::raise_file_limit();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return app.exit(e);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "fotabroker-fleet: %s\n", e.what());
        return 1;
    }
    return exit_code;
}
