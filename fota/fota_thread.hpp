// The thread a service lives on: a bounded queue of calls and a deadline to sleep until. Any thread may post.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "fota/service.hpp"

namespace fb::fota {

class fota_thread {
  public:
    using call = std::function<void(service&, timestamp now)>;

    /// Makes the service on the new thread's behalf; `start` has succeeded when the constructor returns, otherwise
    /// storage's error text is thrown as std::runtime_error. The ports must outlive this object.
    fota_thread(settings s, broker_port& broker, storage::fota_store& store, storage::blob_files blobs,
                report_spool* spool = nullptr);
    ~fota_thread();

    /// Runs what was posted, waits for the store, ends. What is posted afterwards is never run.
    void stop();

    void post(call c);
    /// What FOTA takes for the time: this machine's and so much more. With several gateways it is the database's, so
    /// that one's deadline means the same to another. Any thread.
    void set_clock_ahead(std::chrono::milliseconds ahead);
    /// Hands an operation to the store's writer, for those who have something of their own to keep (tokens, idempotency
    /// keys). `done` runs on the writer's thread.
    void submit(storage::fota_operation op, std::function<void(storage::fota_outcome)> done);
    /// False with words when the last write was refused (disk full, database away). Any thread.
    std::pair<bool, std::string> health() const;
    /// Calls waiting: back-pressure for the broker's side.
    std::size_t pending() const;

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

} // namespace fb::fota
