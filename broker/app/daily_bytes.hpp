// How many bytes a rising total rose by in the last 24 hours, to the hour. A value, without a clock.
#pragma once

#include <array>
#include <cstdint>
#include <numeric>

namespace fb::app {

class daily_bytes {
  public:
    /// `hour` counts from any moment and never falls; `total` neither.
    void note(std::uint64_t hour, std::uint64_t total) {
        if (!begun_) {
            begun_ = true;
            hour_ = hour;
            total_ = total;
        }
        for (std::uint64_t passed = 0; hour_ < hour; ++hour_) {
            if (++passed > hours_.size()) {
                hour_ = hour;
                break;
            }
            hours_[(hour_ + 1) % hours_.size()] = 0;
        }
        hours_[hour_ % hours_.size()] += total - total_;
        total_ = total;
    }
    std::uint64_t last_day() const { return std::accumulate(hours_.begin(), hours_.end(), std::uint64_t{0}); }

  private:
    std::array<std::uint64_t, 24> hours_{}; // by hour, modulo 24
    std::uint64_t hour_ = 0;
    std::uint64_t total_ = 0;
    bool begun_ = false;
};

} // namespace fb::app
