// One thread, one epoll, timers: everything in this program runs on it.
//
// A turn: wait, hand every ready descriptor to its watcher, run due timers, run what was deferred to the turn's end
// (where streams write what they gathered, so a turn costs one write per stream).
// Lifetime: a watcher must outlive its registration; after remove() it is not called again, not even for events that
// were already collected.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace fb::fleet {

class loop {
  public:
    using clock = std::chrono::steady_clock;
    using timer_id = std::uint64_t; // 0 is never one

    struct watcher {
        virtual void on_ready(std::uint32_t epoll_events) = 0;
        virtual void on_turn_end() = 0;

      protected:
        ~watcher() = default;
    };

    loop();
    ~loop();
    loop(const loop&) = delete;
    loop& operator=(const loop&) = delete;

    /// Returns the slot to name the registration by.
    std::uint32_t add(int fd, std::uint32_t epoll_events, watcher& w);
    void change(int fd, std::uint32_t slot, std::uint32_t epoll_events);
    void remove(int fd, std::uint32_t slot);

    timer_id after(clock::duration delay, std::function<void()> action);
    void cancel(timer_id id);
    /// Calls w.on_turn_end() once at the end of this turn. The caller remembers that it asked.
    void at_turn_end(watcher& w) { ending_.push_back(&w); }
    void forget_turn_end(watcher& w);

    /// Until stop(), or until `*interrupted` becomes non-zero.
    void run(const volatile int* interrupted = nullptr);
    void stop() { stopped_ = true; }

    /// Taken once per turn: cheap enough to be asked per message.
    clock::time_point now() const { return now_; }
    char* scratch() { return scratch_.get(); }
    static constexpr std::size_t scratch_bytes = 256 * 1024;

  private:
    struct slot_entry {
        watcher* owner = nullptr;
        std::uint32_t generation = 0;
    };
    using timer_key = std::pair<clock::time_point, timer_id>;

    int wait_ms() const;
    void run_due_timers();
    void run_turn_end();

    int epoll_ = -1;
    bool stopped_ = false;
    clock::time_point now_ = clock::now();
    std::vector<slot_entry> slots_;
    std::vector<std::uint32_t> free_slots_;
    std::map<timer_key, std::function<void()>> timers_;
    std::map<timer_id, clock::time_point> timer_times_;
    timer_id last_timer_ = 0;
    std::vector<watcher*> ending_;
    std::vector<watcher*> ending_now_;
    std::unique_ptr<char[]> scratch_;
};

inline loop::clock::duration from_seconds(double seconds) {
    return std::chrono::duration_cast<loop::clock::duration>(std::chrono::duration<double>(seconds));
}

} // namespace fb::fleet
