// From a coroutine on the HTTP thread to another thread and back: start something there, wait for its answer here.
//
// Invariants: an answer may come from any thread, late, or never; a coroutine is only ever resumed on the HTTP thread,
// and nothing on another thread owns one. Answers that nobody waits for any more are dropped. cancel_all() ends the
// waits that may be given up, so that a stopping server does not wait for FOTA.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include <boost/asio/post.hpp>

#include "http/task.hpp"

namespace fb::http {

class bridge {
  public:
    explicit bridge(std::shared_ptr<asio::io_context> io)
        : io_(std::move(io)) {}

    /// Where the answer goes: copyable, callable once, from any thread, whether or not the server still exists.
    template <class T>
    class answer;

    /// Nothing when no answer came within `patience` or the server stops.
    template <class T>
    task<std::optional<T>> wait(std::chrono::milliseconds patience, std::function<void(answer<T>)> start);
    /// As wait(), for answers that are certain to come and whose work uses what the caller owns.
    template <class T>
    task<T> wait_for_ever(std::function<void(answer<T>)> start);

    void cancel_all() {
        cancelled_ = true;
        for (timer* waiting : waiting_) waiting->cancel();
    }
    executor get_executor() const { return io_->get_executor(); }

  private:
    template <class T>
    struct slot { // touched on the HTTP thread only, but for its creation
        std::optional<T> value;
        timer* waiting = nullptr;
    };

    std::shared_ptr<asio::io_context> io_;
    std::set<timer*> waiting_;
    bool cancelled_ = false;
};

template <class T>
class bridge::answer {
  public:
    answer(std::weak_ptr<asio::io_context> io, std::shared_ptr<slot<T>> to)
        : io_(std::move(io))
        , to_(std::move(to)) {}

    void operator()(T value) const {
        const auto io = io_.lock();
        if (!io) return;
        asio::post(io->get_executor(), [to = to_, value = std::move(value)]() mutable {
            if (!to->waiting) return; // it was given up
            to->value.emplace(std::move(value));
            to->waiting->cancel();
        });
    }

  private:
    std::weak_ptr<asio::io_context> io_;
    std::shared_ptr<slot<T>> to_;
};

template <class T>
task<std::optional<T>> bridge::wait(std::chrono::milliseconds patience, std::function<void(answer<T>)> start) {
    if (cancelled_) co_return std::nullopt;
    auto place = std::make_shared<slot<T>>();
    timer until(get_executor(), patience);
    place->waiting = &until;
    waiting_.insert(&until);
    start(answer<T>(io_, place));
    co_await until.async_wait(as_values);
    place->waiting = nullptr;
    waiting_.erase(&until);
    co_return std::move(place->value);
}

template <class T>
task<T> bridge::wait_for_ever(std::function<void(answer<T>)> start) {
    auto place = std::make_shared<slot<T>>();
    timer until(get_executor(), timer::time_point::max());
    place->waiting = &until;
    start(answer<T>(io_, place));
    co_await until.async_wait(as_values);
    place->waiting = nullptr;
    co_return std::move(*place->value);
}

} // namespace fb::http
