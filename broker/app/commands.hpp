// The subcommands. Each adds itself to the command line; its action runs when the line was parsed and says the exit
// status. An action may throw std::runtime_error: the text is for the user.
#pragma once

#include <functional>

#include <CLI/CLI.hpp>

namespace fb::app {

using action = std::function<int()>;

void add_serve_command(CLI::App& root, action& chosen);
void add_check_config_command(CLI::App& root, action& chosen);
void add_cert_command(CLI::App& root, action& chosen);
void add_passwd_command(CLI::App& root, action& chosen);
void add_db_command(CLI::App& root, action& chosen);
void add_backup_command(CLI::App& root, action& chosen);
void add_restore_command(CLI::App& root, action& chosen);
void add_token_command(CLI::App& root, action& chosen);

} // namespace fb::app
