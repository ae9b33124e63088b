// Firmware files that this gateway does not have, from those that do. A thread of its own; one file at a time, verified
// by its digest before it is there, and asked for again until somebody has it or nobody wants it any more.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "broker/app/neighbours.hpp"
#include "fota/fota_thread.hpp"
#include "storage/blob_files.hpp"

namespace fb::app {

class peer_files {
  public:
    struct settings {
        std::string key; // all gateways know it
        std::filesystem::path ca;
        std::int64_t file_bytes_max = 0;
        std::int64_t free_bytes_min = 0; // on the disk, afterwards
    };

    /// What it refers to outlives it; FOTA tells it what is missing.
    peer_files(settings s, storage::blob_files blobs, const neighbours& others, fota::fota_thread& fota);
    ~peer_files();
    void stop();

    void append_metrics(std::string& out) const; // any thread

  private:
    struct wish {
        std::int64_t size = 0;
        std::chrono::steady_clock::time_point next_try{};
        int tries = 0;
    };
    void want(const storage::firmware& f);
    void run();
    bool stopped() const;
    bool fetch(const std::string& sha256, std::int64_t size);

    const settings settings_;
    const storage::blob_files blobs_;
    const neighbours& others_;
    fota::fota_thread& fota_;
    std::atomic<std::uint64_t> fetched_{0}, failed_{0};

    mutable std::mutex mutex_; // protects what follows
    std::condition_variable wake_;
    bool stopping_ = false;
    std::map<std::string, wish> wanted_; // by digest
    std::thread thread_;
};

} // namespace fb::app
