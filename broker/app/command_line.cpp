#include "broker/app/command_line.hpp"

#include <iostream>

#include "broker/app/commands.hpp"
#include "broker/app/config.hpp"
#include "broker/app/version.hpp"
#include "broker/backup/failure.hpp"

namespace fb::app {
namespace {

constexpr int failed = 1;
constexpr int wrong_usage = 2;

void add_version_command(CLI::App& root, action& chosen) {
    auto* command = root.add_subcommand("version", "Print the version");
    command->callback([&chosen] {
        chosen = [] {
            std::cout << "fotabroker " << program_version << '\n';
            return 0;
        };
    });
}

int run(const action& chosen) {
    try {
        return chosen();
    } catch (const config_error& e) {
        std::cerr << e.what() << '\n';
        return wrong_usage;
    } catch (const backup::failure& e) {
        std::cerr << "fotabroker: " << e.what() << '\n';
        return static_cast<int>(e.why());
    } catch (const std::exception& e) {
        std::cerr << "fotabroker: " << e.what() << '\n';
        return failed;
    }
}

} // namespace

int run_command_line(int argc, char** argv) {
    CLI::App root("MQTT broker for edge gateways with firmware updates built in.", "fotabroker");
    root.set_version_flag("--version", std::string("fotabroker ") + program_version);
    root.require_subcommand(1);
    root.footer("`fotabroker COMMAND --help` tells more about a command.");

    action chosen;
    add_serve_command(root, chosen);
    add_check_config_command(root, chosen);
    add_cert_command(root, chosen);
    add_passwd_command(root, chosen);
    add_token_command(root, chosen);
    add_db_command(root, chosen);
    add_backup_command(root, chosen);
    add_restore_command(root, chosen);
    add_version_command(root, chosen);

    try {
        root.parse(argc, argv);
    } catch (const CLI::ParseError& e) {
        return root.exit(e, std::cout, std::cerr) == 0 ? 0 : wrong_usage;
    }
    return run(chosen);
}

} // namespace fb::app
