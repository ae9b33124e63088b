// Everything about firmware updates an operator may set. Defaults are the contract's (fota.md section 3).
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "storage/records.hpp"

namespace fb::fota {

struct settings {
    bool auto_register = true;                      // a certificate of the device CA is enough to be registered
    bool auto_register_without_certificate = false; // for user-name or client-id identities ("for trying things")
    std::string public_url; // "https://gateway:8443": what download URLs begin with; no trailing '/'
    std::string url_key;    // 32 secret bytes: the HMAC key of download URLs

    storage::gateway self; // this gateway's row
    bool shared = false;   // other gateways use the same database: a device is whose row says so (docs/scaling.md)

    std::chrono::seconds offer_timeout{600}; // offered, before it is offered again
    int offers_max = 4;                      // the first and 3 more, then failed `no_response`
    std::chrono::seconds accepted_timeout{1800};
    std::chrono::seconds download_idle_timeout{3600}; // without byte progress
    std::chrono::seconds downloaded_timeout{86400};
    std::chrono::seconds install_timeout{3600};
    std::chrono::seconds verify_timeout{1800};
    std::chrono::seconds soak{0};         // 0: an early success is final
    std::chrono::hours deadline{30 * 24}; // of a pending update
    int attempts_max = 3;
    std::chrono::seconds retry_backoff{60};      // 1, 2, 4 min + jitter
    std::chrono::seconds deferred_default{3600}; // without "retry_after_s"
    int fail_streak_max = 3;
    std::chrono::hours penalty{24};
    std::chrono::seconds last_seen_interval{60}; // flash wear: how often last_seen and percent may be written
    std::uint32_t payload_bytes_max = 16 * 1024; // of a report
    std::uint32_t transfers_max = 1024;          // fw/get transfers with state in memory
    std::uint32_t block_cache_bytes = 8 * 1024 * 1024;
};

} // namespace fb::fota
