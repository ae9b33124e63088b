// A few threads for what blocks: database queries, hashing, firmware files. Each thread keeps one reader of its own.
// Jobs may be posted from any thread and run in order of arrival; the queue is bounded by its users, because each
// connection has at most one job under way. Destruction runs what was posted, then joins.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "storage/fota_store.hpp"

namespace fb::http {

class blocking_pool {
  public:
    using job = std::function<void(storage::fota_reader&)>;

    /// Throws std::runtime_error when the store gives no reader.
    blocking_pool(storage::fota_store& store, int threads);
    ~blocking_pool();
    blocking_pool(const blocking_pool&) = delete;
    blocking_pool& operator=(const blocking_pool&) = delete;

    void post(job j);

  private:
    void run(storage::fota_reader& reader);

    std::mutex mutex_; // protects the next two
    std::deque<job> jobs_;
    bool stopping_ = false;
    std::condition_variable wake_;
    std::vector<std::unique_ptr<storage::fota_reader>> readers_;
    std::vector<std::thread> threads_;
};

} // namespace fb::http
