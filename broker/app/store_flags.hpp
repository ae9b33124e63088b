// Which database a command is about: what `token` and `db` take, besides a configuration file. Flags win over it.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "broker/app/config.hpp"
#include "storage/fota_store.hpp"

namespace fb::app {

struct store_flags {
    std::optional<std::filesystem::path> config_file;
    std::optional<std::filesystem::path> data_dir;
    std::optional<std::string> database;
    std::optional<std::filesystem::path> password_file;
};

void add_store_options(CLI::App& command, store_flags& f);

/// Throws config_error; and std::runtime_error when the data directory that is to have fota.db does not exist.
config config_of(const store_flags& f);

/// Opens it, with words for people when that fails. Missing migrations are run.
std::unique_ptr<storage::fota_store> open_store(const store_flags& f);

} // namespace fb::app
