// What `fotabroker serve` takes besides a configuration file, and how the two become one configuration: flags win.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "broker/app/config.hpp"

namespace fb::app {

struct serve_flags {
    std::optional<std::filesystem::path> config_file;
    std::vector<std::string> listen; // with any, the MQTT listeners are exactly these
    std::vector<std::string> http;   // with any, the HTTP listeners are exactly these
    std::optional<std::filesystem::path> data_dir;
    std::optional<std::string> database;
    std::optional<std::filesystem::path> database_password_file;
    bool allow_anonymous = false;
    std::optional<std::filesystem::path> cert, key, client_ca; // of every listener
    std::optional<std::filesystem::path> password_file;
    std::optional<device_identity> identity;
    std::optional<std::uint32_t> shards;
    std::optional<durability_class> durability;
    std::optional<log_level> level;
    std::optional<log_format> format;
};

/// Throws config_error. Without a file, listeners that are not asked for are not opened, except that no listener flag
/// at all means the default ones.
config make_config(const serve_flags& flags);

/// Throws std::runtime_error naming the first certificate file that does not exist, with the commands that make it.
void require_certificates(const config& c);

} // namespace fb::app
