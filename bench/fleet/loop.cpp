#include "bench/fleet/loop.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace fb::fleet {
namespace {

epoll_event make_event(std::uint32_t events, std::uint32_t slot, std::uint32_t generation) {
    epoll_event e{};
    e.events = events;
    e.data.u64 = std::uint64_t{generation} << 32 | slot;
    return e;
}

} // namespace

loop::loop()
    : epoll_(epoll_create1(EPOLL_CLOEXEC))
    , scratch_(std::make_unique<char[]>(scratch_bytes)) {
    if (epoll_ < 0) throw std::runtime_error("epoll_create1 failed");
}

loop::~loop() { close(epoll_); }

std::uint32_t loop::add(int fd, std::uint32_t epoll_events, watcher& w) {
    if (free_slots_.empty()) {
        free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
        slots_.emplace_back();
    }
    const auto slot = free_slots_.back();
    free_slots_.pop_back();
    slots_[slot].owner = &w;
    auto event = make_event(epoll_events, slot, slots_[slot].generation);
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    return slot;
}

void loop::change(int fd, std::uint32_t slot, std::uint32_t epoll_events) {
    auto event = make_event(epoll_events, slot, slots_[slot].generation);
    epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
}

void loop::remove(int fd, std::uint32_t slot) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
    slots_[slot].owner = nullptr;
    ++slots_[slot].generation; // events already collected for the old owner name the old generation
    free_slots_.push_back(slot);
}

loop::timer_id loop::after(clock::duration delay, std::function<void()> action) {
    const auto id = ++last_timer_;
    const auto when = clock::now() + delay;
    timers_.emplace(timer_key{when, id}, std::move(action));
    timer_times_.emplace(id, when);
    return id;
}

void loop::cancel(timer_id id) {
    const auto found = timer_times_.find(id);
    if (found == timer_times_.end()) return;
    timers_.erase(timer_key{found->second, id});
    timer_times_.erase(found);
}

void loop::forget_turn_end(watcher& w) {
    std::erase(ending_, &w);
    std::replace(ending_now_.begin(), ending_now_.end(), &w, static_cast<watcher*>(nullptr));
}

int loop::wait_ms() const {
    if (!ending_.empty()) return 0;
    if (timers_.empty()) return 1000; // an interrupt that arrived just before the wait is seen within a second
    const auto left = timers_.begin()->first.first - clock::now();
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    return static_cast<int>(std::clamp<std::int64_t>(ms, 0, 1000));
}

void loop::run_due_timers() {
    while (!timers_.empty() && timers_.begin()->first.first <= now_) {
        const auto first = timers_.begin();
        const auto action = std::move(first->second);
        timer_times_.erase(first->first.second);
        timers_.erase(first);
        action();
    }
}

void loop::run_turn_end() {
    ending_now_.swap(ending_);
    for (std::size_t i = 0; i < ending_now_.size(); ++i)
        if (ending_now_[i] != nullptr) ending_now_[i]->on_turn_end();
    ending_now_.clear();
}

void loop::run(const volatile int* interrupted) {
    std::array<epoll_event, 256> ready;
    stopped_ = false;
    while (!stopped_ && (interrupted == nullptr || *interrupted == 0)) {
        const int count = epoll_wait(epoll_, ready.data(), static_cast<int>(ready.size()), wait_ms());
        now_ = clock::now();
        for (int i = 0; i < count; ++i) {
            const auto slot = static_cast<std::uint32_t>(ready[i].data.u64);
            const auto generation = static_cast<std::uint32_t>(ready[i].data.u64 >> 32);
            const auto& entry = slots_[slot];
            if (entry.owner != nullptr && entry.generation == generation) entry.owner->on_ready(ready[i].events);
        }
        run_due_timers();
        run_turn_end();
        run_turn_end(); // what the first pass gave the streams to write leaves in this turn, too
    }
}

} // namespace fb::fleet
