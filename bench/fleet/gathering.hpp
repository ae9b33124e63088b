// Waits for a number of deliveries and measures that phase. It ends with the last one, or when none has come for
// `patience`: what is missing then is lost. The end is told once, `phase::settle` later, so that what must not come (a
// message twice) has had time to.
#pragma once

#include <cstdint>
#include <functional>

#include "bench/fleet/loop.hpp"
#include "bench/fleet/phase.hpp"

namespace fb::fleet {

class gathering {
  public:
    static constexpr std::chrono::seconds patience{5};

    /// `broker` outlives this.
    gathering(loop& l, const process_meter& broker, std::uint64_t expected, std::function<void()> on_end)
        : loop_(l)
        , broker_(broker)
        , expected_(expected)
        , on_end_(std::move(on_end)) {}

    void begin();
    /// One that was awaited has come.
    void came() {
        if (++came_ == expected_) finish();
    }
    const phase& measured() const { return phase_; }

  private:
    void look_for_progress();
    void finish();

    loop& loop_;
    const process_meter& broker_;
    std::uint64_t expected_;
    std::function<void()> on_end_;
    phase phase_;
    std::uint64_t came_ = 0;
    std::uint64_t came_before_ = 0; // when progress was looked for last
    bool finished_ = false;
};

} // namespace fb::fleet
