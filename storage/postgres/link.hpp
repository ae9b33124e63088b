// A connection that comes back: made at the first use, made anew after it was lost, with growing pauses while that
// fails. Lives on one thread at a time.
#pragma once

#include <memory>
#include <random>

#include "storage/postgres/connection.hpp"

namespace fb::storage::postgres {

class link {
  public:
    link(settings s, access a);
    /// For one that stands already.
    link(settings s, access a, std::unique_ptr<connection> ready);

    /// The connection, made now if there is none. Between two tries that failed it gives the last error at once.
    /// Always unavailable, so that nobody takes a password that was changed for a fault of his own.
    result<connection*> get();
    /// The connection, if there is one at the moment.
    connection* standing() noexcept { return connection_.get(); }
    /// It was lost.
    void drop() { connection_.reset(); }

    const settings& how() const noexcept { return settings_; }

  private:
    std::chrono::milliseconds pause();

    settings settings_;
    access access_;
    std::unique_ptr<connection> connection_;
    error last_error_;
    int failures_ = 0; // since it last stood
    std::chrono::steady_clock::time_point next_try_{};
    std::minstd_rand random_{std::random_device{}()};
};

} // namespace fb::storage::postgres
