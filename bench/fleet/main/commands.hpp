// The subcommands: each adds itself to the command line and sets `exit_code` when it ran.
#pragma once

#include <CLI/CLI.hpp>

namespace fb::fleet {

/// Non-zero once the person pressed Ctrl-C.
extern volatile int interrupt_seen;

void add_devices_command(CLI::App& app, int& exit_code);
void add_load_command(CLI::App& app, int& exit_code);
void add_connect_command(CLI::App& app, int& exit_code);
void add_idle_command(CLI::App& app, int& exit_code);
void add_retained_command(CLI::App& app, int& exit_code);
void add_offline_command(CLI::App& app, int& exit_code);
void add_crowd_command(CLI::App& app, int& exit_code);

} // namespace fb::fleet
