// How far a command is, on a terminal: one line that changes with each percent. Elsewhere nothing.
#pragma once

#include <cstdint>
#include <iostream>
#include <string>
#include <string_view>
#include <unistd.h>

namespace fb::app {

class progress_bar {
  public:
    progress_bar() = default;
    progress_bar(const progress_bar&) = delete;
    progress_bar& operator=(const progress_bar&) = delete;
    ~progress_bar() {
        if (shown_ >= 0) std::cerr << "\r\033[K" << std::flush;
    }

    void show(std::string_view what, std::uint64_t done, std::uint64_t all) {
        const int percent = all == 0 ? 0 : static_cast<int>(done >= all ? 100 : done * 100 / all);
        if (!terminal_ || (percent == shown_ && what == what_)) return;
        shown_ = percent;
        what_ = what;
        constexpr std::size_t width = 40;
        const std::size_t full = width * static_cast<std::size_t>(percent) / 100;
        std::cerr << '\r' << what << " [" << std::string(full, '#') << std::string(width - full, ' ') << "] " << percent
                  << " %\033[K" << std::flush;
    }

  private:
    const bool terminal_ = ::isatty(STDERR_FILENO) == 1;
    int shown_ = -1; // percent
    std::string what_;
};

} // namespace fb::app
