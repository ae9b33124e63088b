// The member functions of group_commit (async_store.hpp includes this; nobody else does).
#pragma once

#include <pthread.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "storage/async_store.hpp"

namespace fb::storage {

template <class Operation, class Outcome>
group_commit<Operation, Outcome>::group_commit(std::string name, std::size_t batch_max, apply_function apply)
    : batch_max_(std::max<std::size_t>(batch_max, 1))
    , apply_(std::move(apply))
    , thread_([this, thread_name = std::move(name)] {
        ::pthread_setname_np(::pthread_self(), thread_name.substr(0, 15).c_str());
        run();
    }) {}

template <class Operation, class Outcome>
group_commit<Operation, Outcome>::~group_commit() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

template <class Operation, class Outcome>
void group_commit<Operation, Outcome>::submit(Operation op, completion done) {
    {
        const std::lock_guard lock(mutex_);
        queue_.push_back({std::move(op), std::move(done)});
    }
    wake_.notify_one();
}

template <class Operation, class Outcome>
std::size_t group_commit<Operation, Outcome>::pending() const {
    const std::lock_guard lock(mutex_);
    return queue_.size() + in_hand_;
}

template <class Operation, class Outcome>
std::size_t group_commit<Operation, Outcome>::commits() const {
    const std::lock_guard lock(mutex_);
    return commits_;
}

template <class Operation, class Outcome>
void group_commit<Operation, Outcome>::run() {
    std::vector<item> taken;
    std::vector<Operation> batch;
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [&] { return !queue_.empty() || stopping_; });
            if (queue_.empty()) return;
            taken.swap(queue_);
            in_hand_ = taken.size();
        }
        for (std::size_t first = 0; first < taken.size();) {
            const std::size_t count = std::min(batch_max_, taken.size() - first);
            for (std::size_t i = 0; i < count; ++i) batch.push_back(std::move(taken[first + i].op));
            std::vector<Outcome> outcomes = apply_(batch);
            if (outcomes.size() != count) std::abort(); // a programmer's error: who would get which outcome?
            {
                const std::lock_guard lock(mutex_);
                in_hand_ -= count;
                ++commits_;
            }
            for (std::size_t i = 0; i < count; ++i) taken[first + i].done(std::move(outcomes[i]));
            batch.clear();
            first += count;
        }
        taken.clear();
    }
}

} // namespace fb::storage
