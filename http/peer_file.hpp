// Firmware files between gateways that share a database: GET /peer/v1/files/{sha256}, for whoever knows the key that is
// in that database. What a bearer of the header may have is one file, and the name of a file is its digest: so who
// serves it need not be trusted with anything.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace fb::http {

/// The Authorization header of a request for a file.
std::string peer_authorization(std::string_view key, std::string_view sha256_hex);

struct peer_request {
    std::string url; // of the peer: "https://gw1.example:8443"
    std::string sha256_hex;
    std::string key;
    std::filesystem::path ca;
    std::int64_t from = 0; // bytes that are here already
    std::int64_t bytes_max = 0;
};

/// Calls `take` with the bytes from `from` on, as they arrive; it may refuse (false). Blocks. Empty: all of it was
/// there; else what was wrong, in words.
std::string fetch_from_peer(const peer_request& r, const std::function<bool(std::string_view)>& take);

} // namespace fb::http
