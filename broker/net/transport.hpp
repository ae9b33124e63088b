// A connected stream of bytes, plain or TLS, over a non-blocking descriptor: what a shard reads from and writes to.
// Knows no event loop and no MQTT. One thread at a time; moves between shards as a whole.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "broker/net/tls/tls_session.hpp"

namespace fb::net {

class transport {
  public:
    transport() = default;
    /// Takes the descriptor, which must be non-blocking.
    explicit transport(int fd)
        : fd_(fd) {}
    transport(int fd, tls_session tls)
        : fd_(fd)
        , tls_(std::move(tls)) {}
    transport(transport&& other) noexcept;
    transport& operator=(transport&& other) noexcept;
    ~transport();

    bool secure() const noexcept { return bool(tls_); }
    tls_session& tls() noexcept { return tls_; }
    int fd() const noexcept { return fd_; }

    tls_result read(std::span<char> out);
    /// As much of the pieces as goes now. `scratch` (16 KiB) is where TLS records are gathered.
    tls_result write(std::span<const std::string_view> pieces, std::span<char> scratch);
    /// More can be read without waiting for the descriptor.
    bool has_pending() const noexcept { return tls_ && tls_.has_pending(); }
    /// Says goodbye and ends our direction; the peer's may go on.
    void finish() noexcept;
    /// At once.
    void close() noexcept;

  private:
    tls_result write_plain(std::span<const std::string_view> pieces);
    tls_result write_tls(std::span<const std::string_view> pieces, std::span<char> scratch);

    int fd_ = -1;
    tls_session tls_;
};

} // namespace fb::net
