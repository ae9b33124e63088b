#include <iostream>
#include <memory>
#include <stdexcept>

#include "broker/app/commands.hpp"
#include "broker/app/secret_input.hpp"
#include "broker/auth/password_file.hpp"
#include "certs/digest.hpp"

namespace fb::app {
namespace {

constexpr std::size_t salt_bytes = 16;
constexpr std::size_t password_bytes_max = 65'535; // what CONNECT can carry

struct options {
    std::filesystem::path file;
    std::string user;
    unsigned iterations = auth::iterations_default;
    bool for_mosquitto = false;
    bool remove = false;
};

std::string ask_password() {
    std::string password = ask_secret("Password: ");
    if (password.size() > password_bytes_max) throw std::runtime_error("a password has at most 65535 bytes");
    return password;
}

int run(const options& o) {
    auto users = std::filesystem::exists(o.file) ? auth::password_file(o.file) : auth::password_file();
    if (o.remove) {
        if (!users.erase(o.user)) throw std::runtime_error(o.file.string() + ": there is no user " + o.user);
        users.save(o.file);
        std::cout << o.user << " is no longer in " << o.file.string() << '\n';
        return 0;
    }
    if (!auth::valid_user_name(o.user)) {
        throw std::runtime_error("\"" + o.user +
                                 "\" cannot be a user name: 1-256 bytes, no ':', no control characters");
    }
    const std::string password = ask_password();
    const std::string salt = certs::random_bytes(salt_bytes);
    const bool known = users.find(o.user) != nullptr;
    if (o.for_mosquitto)
        users.set(o.user, auth::make_pbkdf2_hash(password, o.iterations, salt));
    else
        users.set(o.user, auth::make_scram_secret(password, o.iterations, salt));
    users.save(o.file);
    std::cout << o.user << (known ? " has a new password in " : " is now in ") << o.file.string()
              << ". It takes effect when the broker starts next.\n";
    return 0;
}

constexpr const char* examples =
    R"(The password is asked for, or read from standard input: one line. Only what checks it is stored, as a
SCRAM-SHA-256 secret: such a user can send the password in CONNECT, or prove by enhanced authentication
(MQTT 5) that it is known.

Examples:
  fotabroker passwd /etc/fotabroker/passwd dashboard
  fotabroker passwd /etc/fotabroker/passwd dashboard --delete)";

} // namespace

void add_passwd_command(CLI::App& root, action& chosen) {
    auto* command = root.add_subcommand("passwd", "Users with passwords: add, change, delete");
    command->footer(examples);
    const auto o = std::make_shared<options>();
    command->add_option("file", o->file, "Password file; made when it does not exist")->required()->option_text("FILE");
    command->add_option("user", o->user, "User name")->required()->option_text("USER");
    command
        ->add_option("--iterations", o->iterations,
                     "How slow a guess is to check (default " + std::to_string(o->iterations) + ")")
        ->option_text("N")
        ->check(CLI::Range(1u, auth::iterations_max));
    command->add_flag("--mosquitto", o->for_mosquitto, "Store it in mosquitto's form instead: no SCRAM");
    command->add_flag("--delete", o->remove, "Take the user out");
    command->callback([o, &chosen] { chosen = [o] { return run(*o); }; });
}

} // namespace fb::app
