// The device CA: makes the CA, server certificates and device certificates, and lists what was issued. ECDSA P-256,
// SHA-256, private keys written 0600, nothing overwritten without `force`. Used by `fotabroker cert ...`; no thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "certs/error.hpp"

namespace fb::certs {

struct issue_options {
    std::chrono::days valid_for{3650};
    bool force = false; // overwrite existing files
};

/// Writes ca.crt and ca.key into `out` (created if missing).
void init_authority(const std::filesystem::path& out, const std::string& common_name, const issue_options& options);

/// Writes server.crt and server.key. `names` are DNS names or IP addresses; all become SANs, the first the CN.
/// notBefore is 1970: a device without a clock must accept it.
void issue_server(const std::filesystem::path& authority, const std::vector<std::string>& names,
                  const std::filesystem::path& out, const issue_options& options);

/// Writes <id>.crt and <id>.key. `id` must be a valid device id; above 64 characters it goes into the SAN alone.
/// ':' stays in the file name.
void issue_device(const std::filesystem::path& authority, const std::string& id, const std::filesystem::path& out,
                  const issue_options& options);

struct issued {
    std::string serial;    // hex
    std::string kind;      // "server" | "device"
    std::string name;      // device id or first server name
    std::string not_after; // RFC 3339
    std::string fingerprint;
};

/// What this authority has issued, oldest first: it keeps an index (issued.jsonl) beside ca.key.
std::vector<issued> list_issued(const std::filesystem::path& authority);

} // namespace fb::certs
