// What nobody needs any more: firmware files without a row, at the start and once a day; results, events and the audit
// log beyond what [retention] keeps, at the start and once an hour, in transactions of a few hundred rows between which
// reports go on. A thread of its own; append_metrics() may be called by any.
//
// While the database cannot be asked nothing is deleted. An hour in which the clock was set deletes no history.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "broker/app/config.hpp"
#include "storage/blob_files.hpp"
#include "storage/fota_store.hpp"

namespace fb::app {

class housekeeping {
  public:
    /// As fota_thread::submit.
    using submit_function =
        std::function<void(storage::fota_operation, std::function<void(storage::fota_outcome)> done)>;
    /// Asked on this object's thread before each round.
    struct permissions {
        std::function<bool()> prune = [] { return true; };        // of several gateways one does
        std::function<bool()> remove_files = [] { return true; }; // not while the rows may be elsewhere
    };
    housekeeping(const retention_config& keep, storage::fota_store& store, storage::blob_files blobs,
                 submit_function submit, permissions may);
    ~housekeeping();

    void append_metrics(std::string& out) const;

  private:
    void run();
    bool clock_agrees();
    void remove_unneeded_files(storage::fota_reader& reader);
    void prune(storage::fota_reader& reader);
    storage::status prune_results(storage::fota_reader& reader, storage::timestamp older_than);
    storage::status prune_events(storage::fota_reader& reader, storage::timestamp older_than);
    storage::status prune_audit(storage::fota_reader& reader);
    storage::status apply(storage::prune_history op);
    bool stopping() const;

    const retention_config keep_;
    storage::fota_store& store_;
    const storage::blob_files blobs_;
    const submit_function submit_;
    const permissions may_;
    struct times {
        std::chrono::system_clock::time_point wall;
        std::chrono::steady_clock::time_point steady;
    };
    std::optional<times> looked_at_;                                                          // of the thread
    std::atomic<std::uint64_t> results_{0}, events_{0}, audit_{0}, files_{0}, file_bytes_{0}; // deleted

    mutable std::mutex mutex_; // protects what follows
    std::condition_variable wake_;
    bool stopping_ = false;
    std::thread thread_;
};

} // namespace fb::app
