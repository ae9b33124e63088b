// The program's command line: subcommands, their help, and exit statuses (0 done, 1 failed, 2 wrong usage or
// configuration). Results go to standard output, complaints to standard error.
#pragma once

namespace fb::app {

int run_command_line(int argc, char** argv);

} // namespace fb::app
