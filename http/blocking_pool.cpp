#include "http/blocking_pool.hpp"

#include <stdexcept>

namespace fb::http {

blocking_pool::blocking_pool(storage::fota_store& store, int threads) {
    for (int i = 0; i < threads; ++i) {
        auto reader = store.open_reader();
        if (!reader) throw std::runtime_error("HTTP cannot read the database: " + reader.err().text);
        readers_.push_back(std::move(*reader));
    }
    for (auto& reader : readers_) threads_.emplace_back([this, &reader] { run(*reader); });
}

blocking_pool::~blocking_pool() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) thread.join();
}

void blocking_pool::post(job j) {
    {
        const std::lock_guard lock(mutex_);
        jobs_.push_back(std::move(j));
    }
    wake_.notify_one();
}

void blocking_pool::run(storage::fota_reader& reader) {
    std::unique_lock lock(mutex_);
    while (true) {
        wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
        if (jobs_.empty()) return;
        {
            const job next = std::move(jobs_.front());
            jobs_.pop_front();
            lock.unlock();
            next(reader);
        } // what the job captured is released before the lock is taken again
        lock.lock();
    }
}

} // namespace fb::http
