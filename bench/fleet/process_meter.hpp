// What another process has used so far, read from /proc.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace fb::fleet {

class process_meter {
  public:
    /// pid 0: there is nothing to measure, every reading is 0.
    explicit process_meter(pid_t pid)
        : pid_(pid) {}

    /// CPU time of all living threads in ns: the scheduler's own count where the kernel keeps one, else user + system
    /// time in clock ticks (10 ms).
    std::uint64_t cpu_ns() const;
    std::uint64_t resident_bytes() const;
    bool measures() const { return pid_ != 0; }

  private:
    pid_t pid_;
};

/// This process's own CPU time.
std::uint64_t own_cpu_ns();

} // namespace fb::fleet
