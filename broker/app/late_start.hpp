// A thread that tries something until it succeeds once. The destructor waits for the attempt that is being made.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

namespace fb::app {

class late_start {
  public:
    /// `attempt`: nullopt when it succeeded, else how long to wait until the next. Must not throw.
    explicit late_start(std::function<std::optional<std::chrono::milliseconds>()> attempt);
    ~late_start();

  private:
    void run();

    const std::function<std::optional<std::chrono::milliseconds>()> attempt_;
    std::mutex mutex_; // protects stopping_
    std::condition_variable wake_;
    bool stopping_ = false;
    std::thread thread_;
};

} // namespace fb::app
