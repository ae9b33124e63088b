#include <iostream>
#include <memory>

#include "broker/app/commands.hpp"
#include "broker/app/config.hpp"

namespace fb::app {

void add_check_config_command(CLI::App& root, action& chosen) {
    struct options {
        std::string file;
        bool print = false;
    };
    auto* command =
        root.add_subcommand("check-config", "Say whether a configuration file is right, and where it is not");
    const auto o = std::make_shared<options>();
    command->add_option("FILE", o->file, "The file")->required();
    command->add_flag("--print", o->print, "Print every setting, defaults included");
    command->callback([o, &chosen] {
        chosen = [o] {
            const auto c = load_config(o->file);
            if (!o->print)
                std::cout << o->file << ": good\n";
            else
                for (const auto& line : describe(c)) std::cout << line << '\n';
            return 0;
        };
    });
}

} // namespace fb::app
