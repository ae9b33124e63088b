// What this process writes to the disk, for flash memory wears out: the kernel's count of all of it, each minute, held
// against a budget per day. A thread of its own; append_metrics() may be called by any.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "broker/app/daily_bytes.hpp"

namespace fb::app {

/// Bytes that this process caused to be sent to storage since it started (Linux: /proc/self/io). Nothing where the
/// kernel does not count.
std::optional<std::uint64_t> written_by_process();

class write_meter {
  public:
    /// `budget_bytes_per_day` 0: none. Above it the log warns, once a day at most.
    explicit write_meter(std::uint64_t budget_bytes_per_day);
    ~write_meter();

    void append_metrics(std::string& out) const;

  private:
    void run();
    void look(std::uint64_t minute);

    const std::uint64_t budget_;
    mutable std::mutex mutex_; // protects what follows
    std::condition_variable wake_;
    daily_bytes day_;
    std::uint64_t quiet_until_minute_ = 0;
    bool stopping_ = false;
    std::thread thread_;
};

} // namespace fb::app
