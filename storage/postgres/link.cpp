#include "storage/postgres/link.hpp"

#include <algorithm>

namespace fb::storage::postgres {

link::link(settings s, access a)
    : link(std::move(s), a, nullptr) {}

link::link(settings s, access a, std::unique_ptr<connection> ready)
    : settings_(std::move(s))
    , access_(a)
    , connection_(std::move(ready)) {}

result<connection*> link::get() {
    if (connection_) return connection_.get();
    if (std::chrono::steady_clock::now() < next_try_) return last_error_;
    auto made = connection::open(settings_, access_);
    if (made) {
        failures_ = 0;
        connection_ = std::move(*made);
        return connection_.get();
    }
    last_error_ = {error_kind::unavailable, made.err().text};
    next_try_ = std::chrono::steady_clock::now() + pause();
    ++failures_;
    return last_error_;
}

/// Doubles with each failure; half of it is chance, so that many gateways do not come all at once.
std::chrono::milliseconds link::pause() {
    constexpr int doublings_max = 20;
    const auto full = std::min(settings_.retry_first * (1 << std::min(failures_, doublings_max)), settings_.retry_max);
    const auto half = full.count() / 2;
    return std::chrono::milliseconds(half + std::uniform_int_distribution<std::int64_t>(0, half)(random_));
}

} // namespace fb::storage::postgres
