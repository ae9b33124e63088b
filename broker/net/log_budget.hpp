// How many lines about connections a shard may log: a flood of refused ones must not fill the disk, nor hide what else
// is said. What is left out is counted, and the log says how many there were. One thread.
#pragma once

#include <cstdint>
#include <utility>

namespace fb::net {

class log_budget {
  public:
    explicit log_budget(std::uint32_t lines_per_s_max)
        : lines_per_s_max_(lines_per_s_max) {}

    bool allow(std::int64_t mono_ms) noexcept {
        roll(mono_ms);
        if (lines_ < lines_per_s_max_) {
            ++lines_;
            return true;
        }
        ++left_out_;
        return false;
    }

    /// Lines left out in seconds that are over and that nobody has been told of.
    std::uint64_t take_left_out(std::int64_t mono_ms) noexcept {
        roll(mono_ms);
        return std::exchange(to_tell_, 0);
    }
    /// When to ask; INT64_MAX: there is nothing to tell.
    std::int64_t due_ms() const noexcept { return left_out_ == 0 ? INT64_MAX : since_ms_ + 1000; }

  private:
    void roll(std::int64_t mono_ms) noexcept {
        if (mono_ms - since_ms_ < 1000) return;
        since_ms_ = mono_ms;
        lines_ = 0;
        to_tell_ += std::exchange(left_out_, 0);
    }

    const std::uint32_t lines_per_s_max_;
    std::int64_t since_ms_ = 0;
    std::uint32_t lines_ = 0;
    std::uint64_t left_out_ = 0; // in this second
    std::uint64_t to_tell_ = 0;
};

} // namespace fb::net
