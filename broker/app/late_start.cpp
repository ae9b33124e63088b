#include "broker/app/late_start.hpp"

#include <pthread.h>

namespace fb::app {

late_start::late_start(std::function<std::optional<std::chrono::milliseconds>()> attempt)
    : attempt_(std::move(attempt))
    , thread_([this] { run(); }) {}

late_start::~late_start() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

void late_start::run() {
    ::pthread_setname_np(::pthread_self(), "fb-late-start");
    while (const auto pause = attempt_()) {
        std::unique_lock lock(mutex_);
        if (wake_.wait_for(lock, *pause, [this] { return stopping_; })) return;
    }
}

} // namespace fb::app
