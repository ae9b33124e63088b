#include "broker/app/store_flags.hpp"

#include <stdexcept>

#include "broker/app/open_database.hpp"

namespace fb::app {

void add_store_options(CLI::App& command, store_flags& f) {
    command.add_option("--config", f.config_file, "The broker's configuration")->option_text("FILE");
    command
        .add_option("--data-dir", f.data_dir,
                    "The broker's data directory (default " + config{}.data_dir.string() + ")")
        ->option_text("DIR");
    command.add_option("--database", f.database, "sqlite, or postgresql://USER@HOST/DATABASE (default sqlite)")
        ->option_text("URL");
    command.add_option("--database-password-file", f.password_file, "Its first line is PostgreSQL's password")
        ->option_text("FILE");
}

config config_of(const store_flags& f) {
    config c = f.config_file ? load_config(*f.config_file) : config{};
    if (f.data_dir) c.data_dir = *f.data_dir;
    if (f.database) c.database.url = *f.database;
    if (f.password_file) c.database.password_file = std::filesystem::absolute(*f.password_file);
    if (const auto faults = contradictions(c); !faults.empty()) throw config_error(faults.front());
    if (c.database.sqlite() && !std::filesystem::is_directory(c.data_dir)) {
        throw std::runtime_error(c.data_dir.string() +
                                 " is not a directory: --data-dir names the broker's data directory");
    }
    return c;
}

std::unique_ptr<storage::fota_store> open_store(const store_flags& f) {
    auto opened = open_database(config_of(f));
    if (!opened) throw std::runtime_error(opened.err().text);
    return std::move(*opened);
}

} // namespace fb::app
