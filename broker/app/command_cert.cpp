#include <filesystem>
#include <iostream>
#include <memory>
#include <stdexcept>

#include "broker/app/commands.hpp"
#include "broker/app/json_text.hpp"
#include "certs/authority.hpp"

namespace fb::app {
namespace {

struct options {
    std::string out, authority, common_name = "fotabroker device CA";
    std::vector<std::string> names; // of servers, or device ids
    int valid_days = 3650;
    bool force = false;
    bool json = false;

    certs::issue_options issue() const { return {std::chrono::days(valid_days), force}; }
};
using shared_options = std::shared_ptr<options>;

void add_authority_option(CLI::App& command, options& o) {
    command.add_option("--ca", o.authority, "Directory with ca.crt and ca.key")->option_text("DIR")->required();
}

void add_issue_options(CLI::App& command, options& o) {
    command.add_option("--out", o.out, "Where to write the files")->option_text("DIR")->required();
    command.add_option("--days", o.valid_days, "How long it is valid (default 3650)")
        ->option_text("N")
        ->check(CLI::Range(1, 36500));
    command.add_flag("--force", o.force, "Overwrite existing files");
}

void say_written(const std::string& dir, const std::string& name) {
    const auto base = (std::filesystem::path(dir) / name).string();
    std::cout << base << ".crt\n" << base << ".key\n";
}

int init(const options& o) {
    certs::init_authority(o.out, o.common_name, o.issue());
    say_written(o.out, "ca");
    return 0;
}

int server(const options& o) {
    certs::issue_server(o.authority, o.names, o.out, o.issue());
    say_written(o.out, "server");
    return 0;
}

int device(const options& o) {
    for (const auto& id : o.names) {
        certs::issue_device(o.authority, id, o.out, o.issue());
        say_written(o.out, id);
    }
    return 0;
}

int list(const options& o) {
    if (!std::filesystem::exists(std::filesystem::path(o.authority) / "ca.crt")) {
        throw std::runtime_error(o.authority + " holds no CA (ca.crt is missing): fotabroker cert init --out " +
                                 o.authority);
    }
    const auto all = certs::list_issued(o.authority);
    if (!o.json) {
        for (const auto& c : all) {
            std::cout << c.kind << '\t' << c.name << "\tuntil " << c.not_after << "\tserial " << c.serial << '\n';
        }
        return 0;
    }
    std::vector<json_row> rows;
    for (const auto& c : all) {
        rows.push_back({{"serial", c.serial},
                        {"kind", c.kind},
                        {"name", c.name},
                        {"not_after", c.not_after},
                        {"fingerprint", c.fingerprint}});
    }
    std::cout << json_array(rows) << '\n';
    return 0;
}

CLI::App& add(CLI::App& cert, const char* name, const char* description, const shared_options& o, action& chosen,
              int (*run)(const options&)) {
    auto* command = cert.add_subcommand(name, description);
    command->callback([o, run, &chosen] { chosen = [o, run] { return run(*o); }; });
    return *command;
}

constexpr const char* examples =
    R"(Private keys are written readable by their owner only; ca.key is best kept off the gateway.

Example, a CA, a server and a device:
  fotabroker cert init --out pki
  fotabroker cert server --ca pki --name gateway.local --name 192.168.1.2 --out pki
  fotabroker cert device pump-7 --ca pki --out pki/devices)";

} // namespace

void add_cert_command(CLI::App& root, action& chosen) {
    auto* cert = root.add_subcommand("cert", "The device CA: make certificates, list them");
    cert->require_subcommand(1);
    cert->footer(examples);
    const auto o = std::make_shared<options>();

    auto& init_command = add(*cert, "init", "Make a CA: ca.crt and ca.key", o, chosen, init);
    add_issue_options(init_command, *o);
    init_command.add_option("--name", o->common_name, "The CA's name")->option_text("TEXT");

    auto& server_command = add(*cert, "server", "Make server.crt and server.key", o, chosen, server);
    add_authority_option(server_command, *o);
    add_issue_options(server_command, *o);
    server_command.add_option("--name", o->names, "DNS name or IP address of the server; repeat for more")
        ->option_text("HOST")
        ->required();

    auto& device_command = add(*cert, "device", "Make ID.crt and ID.key", o, chosen, device);
    device_command.add_option("ID", o->names, "Device ids: 1-128 characters of A-Z a-z 0-9 . _ : -")->required();
    add_authority_option(device_command, *o);
    add_issue_options(device_command, *o);

    auto& list_command = add(*cert, "list", "List what the CA has issued, oldest first", o, chosen, list);
    add_authority_option(list_command, *o);
    list_command.add_flag("--json", o->json, "As JSON");
}

} // namespace fb::app
