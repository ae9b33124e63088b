#include "broker/net/handshake_pool.hpp"

#include <pthread.h>

namespace fb::net {

handshake_pool::handshake_pool(unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) {
        threads_.emplace_back([this] { run(); });
        ::pthread_setname_np(threads_.back().native_handle(), "fb-handshake");
    }
}

handshake_pool::~handshake_pool() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        jobs_.clear();
    }
    wake_.notify_all();
    for (std::thread& t : threads_) t.join();
}

void handshake_pool::submit(transport t, completion done) { push({std::move(t), std::move(done), {}}); }

void handshake_pool::submit(std::function<void()> work) { push({{}, {}, std::move(work)}); }

void handshake_pool::push(job j) {
    {
        const std::lock_guard lock(mutex_);
        if (stopping_) return;
        jobs_.push_back(std::move(j));
    }
    wake_.notify_one();
}

void handshake_pool::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
        if (stopping_) return;
        job j = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        if (j.work) {
            j.work();
        } else {
            const tls_result result = j.t.tls().handshake();
            j.done(std::move(j.t), result);
        }
        lock.lock();
    }
}

} // namespace fb::net
