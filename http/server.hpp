// The HTTPS side: REST API, firmware downloads, health and metrics, on threads of its own. The broker's shards never
// wait for it. Made and destroyed by the executable; `start` throws std::runtime_error when a port cannot be bound (the
// text names it and who might hold it).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "certs/tls_context.hpp"
#include "fota/fota_thread.hpp"
#include "storage/blob_files.hpp"
#include "storage/fota_store.hpp"

namespace fb::http {

struct listener_settings {
    std::string host = "127.0.0.1";          // a name or an IPv4/IPv6 address
    std::uint16_t port = 8443;               // 0: any free one
    std::shared_ptr<certs::tls_context> tls; // null: plain HTTP
};

struct settings {
    std::vector<listener_settings> listeners;
    std::string public_url;                      // what firmware URLs begin with, without a trailing '/'; may be empty
    std::string version;                         // of the program, for /healthz and Server
    std::uint64_t upload_bytes_max = 1ull << 30; // 1 GiB
    std::uint64_t free_bytes_min = 64ull << 20;  // an upload that would leave less is refused
    std::uint32_t body_bytes_max = 1u << 20;     // of JSON requests
    std::uint32_t connections_max = 1024;
    std::chrono::seconds idle_timeout{30};            // between requests, and without any byte within one
    std::uint32_t upload_bytes_per_second_min = 1024; // slower for 30 s: cut
    bool metrics_anonymous = false;
    std::string peer_key; // the secret of all gateways on one database, for files between them; empty: no others
    std::vector<std::string> free_version_types; // device types whose firmware versions may be any string
};

/// Answers for /healthz, given by the executable: a name, whether it is well, and words.
struct health_check {
    std::string name;
    std::function<std::pair<bool, std::string>()> ask; // any thread, must not block
};

/// Text in Prometheus' exposition format, appended by whoever has counters. Any thread.
using metrics_source = std::function<void(std::string& out)>;

class server {
  public:
    server(settings s, fota::fota_thread& fota, storage::fota_store& store, storage::blob_files blobs,
           std::function<void(storage::fota_operation, std::function<void(storage::fota_outcome)>)> submit);
    ~server(); // finishes requests in flight for at most a second, then closes

    void add_health_check(health_check check); // before start
    void add_metrics(metrics_source source);   // before start
    void start();
    /// The bound endpoints, as "https://127.0.0.1:8443".
    std::vector<std::string> urls() const;

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

} // namespace fb::http
