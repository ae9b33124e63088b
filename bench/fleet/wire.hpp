// The JSON of the native update protocol, version 1: a command as it arrives, reports as they leave. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace fb::fleet {

struct update_command {
    std::string update_id; // "" from a gateway that sends the three basic keys only
    unsigned attempt = 1;
    std::string version;
    std::string url;
    std::string sha256;     // 64 lower-case hex digits, without the "sha256:" in front
    std::uint64_t size = 0; // 0: not told
    bool download_only = false;

    /// The same offer, however often it arrives.
    bool same_offer(const update_command& other) const;
};

struct cancel_command {
    std::string update_id;
};

/// Readable, but not to be acted on: the gateway is told.
struct refused_command {
    std::string update_id;
    std::string why;
};

/// Not even readable: logged, nothing to answer to.
struct unreadable_command {
    std::string why;
};

using command = std::variant<update_command, cancel_command, refused_command, unreadable_command>;

inline constexpr std::size_t command_bytes_max = 16 * 1024;
inline constexpr std::uint64_t image_bytes_max = std::uint64_t{1} << 30;

command parse_command(std::string_view json);

struct status_report {
    std::string version;
    std::string type;
    std::string name;
    std::string boot_id;
    unsigned chunk_bytes = 0;
    bool http = true;
    bool confirm = false;
};

struct progress_report {
    std::string update_id;
    std::string state;
    int percent = -1; // < 0: left out
    std::uint64_t offset = 0;
};

struct result_report {
    std::string status; // "success" or "failed"
    std::string version;
    std::string update_id;
    unsigned attempt = 1;
    std::string code;
    std::string message;
};

std::string to_json(const status_report& r);
std::string to_json(const progress_report& r);
std::string to_json(const result_report& r);
std::string chunk_request_json(std::uint32_t rid, const std::string& update_id, std::uint64_t offset, unsigned length,
                               unsigned count);
/// What a fw/error says: "code: message".
std::string parse_chunk_error(std::string_view json);

} // namespace fb::fleet
