// A connected stream of bytes, plain or TLS and perhaps in WebSocket frames, over a non-blocking descriptor: what a
// shard reads from and writes to. Knows no event loop and no MQTT. One thread at a time; moves between shards as a
// whole.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "broker/net/tls/tls_session.hpp"
#include "broker/net/websocket_frames.hpp"

namespace fb::net {

class transport {
  public:
    transport() = default;
    /// Takes the descriptor, which must be non-blocking.
    explicit transport(int fd)
        : fd_(fd) {}
    transport(transport&& other) noexcept;
    transport& operator=(transport&& other) noexcept;
    ~transport();

    bool secure() const noexcept { return bool(tls_); }
    tls_session& tls() noexcept { return tls_; }
    int fd() const noexcept { return fd_; }

    /// From here on everything goes through TLS.
    void begin_tls(tls_session tls) { tls_ = std::move(tls); }
    /// From here on everything goes in WebSocket frames.
    void begin_frames() { frames_ = std::make_unique<websocket_frames>(); }

    /// In frames, ok may come with 0 bytes: something was read, and it was no payload.
    tls_result read(std::span<char> out);
    /// As much of the pieces as goes now. `scratch` (16 KiB) is where TLS records are gathered.
    tls_result write(std::span<const std::string_view> pieces, std::span<char> scratch);
    /// The last read() left nothing in the descriptor: what comes later is an event.
    bool drained() const noexcept { return drained_; }
    /// More can be read without waiting for the descriptor.
    bool has_pending() const noexcept { return (tls_ && tls_.has_pending()) || (frames_ && frames_->ended()); }
    /// write() has something to do even without output.
    bool has_control() const noexcept { return frames_ && frames_->has_control(); }
    bool in_frames() const noexcept { return frames_ != nullptr; }
    /// How the peer broke the rules of WebSocket; null: it did not.
    const char* frame_fault() const noexcept { return frames_ ? frames_->fault() : nullptr; }
    /// Says goodbye and ends our direction; the peer's may go on.
    void finish() noexcept;
    /// At once.
    void close() noexcept;

  private:
    tls_result read_bytes(std::span<char> out);
    tls_result read_frames(std::span<char> out);
    tls_result write_bytes(std::span<const std::string_view> pieces, std::span<char> scratch);
    tls_result write_frames(std::span<const std::string_view> pieces, std::span<char> scratch);
    void send_control();
    tls_result write_plain(std::span<const std::string_view> pieces);
    tls_result write_tls(std::span<const std::string_view> pieces, std::span<char> scratch);

    int fd_ = -1;
    bool drained_ = false;
    tls_session tls_;
    std::unique_ptr<websocket_frames> frames_;
};

} // namespace fb::net
