// What one connection still has to be sent: encoded bytes, with large payloads kept by reference instead of copied.
// One thread. Buffers come from a pool of their shard and go back when everything is sent, so that an idle connection
// holds none.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/message.hpp"

namespace fb::core {

class output_buffer {
  public:
    output_buffer() = default;
    ~output_buffer();
    output_buffer(const output_buffer&) = delete;
    output_buffer& operator=(const output_buffer&) = delete;

    /// For encoders: append to it; call nothing else in between.
    std::string& text() noexcept { return text_; }
    /// The payload of `m` comes next; kept by reference until it is sent.
    void append_payload(const message_ptr& m);

    std::size_t size() const noexcept { return text_.size() - text_sent_ + payload_bytes_; }
    /// The bytes to be sent next, in order; returns how many of `out` were filled. Valid until the next non-const call.
    std::size_t gather(std::span<std::string_view> out) const;
    /// The first `count` bytes have been sent.
    void consume(std::size_t count);
    void clear();
    /// Brings memory_use.hpp up to date with what it holds.
    void count();
    /// What it holds in memory, used or not.
    std::size_t held_bytes() const noexcept {
        return sizeof *this + text_.capacity() + pieces_.capacity() * sizeof(piece);
    }

  private:
    struct piece {
        std::size_t at = 0; // comes before text_[at]
        std::size_t sent = 0;
        message_ptr message;
    };
    void compact();

    std::string text_;
    std::size_t text_sent_ = 0;
    std::vector<piece> pieces_;
    std::size_t first_piece_ = 0;
    std::size_t payload_bytes_ = 0; // of the pieces, unsent
    std::size_t counted_bytes_ = 0;
};

/// Enough small buffers for a message to a thousand clients, and some large ones; bounded by what they hold.
class output_pool {
  public:
    std::unique_ptr<output_buffer> take();
    void give_back(std::unique_ptr<output_buffer> buffer);

    std::size_t bytes() const noexcept { return bytes_; }

    static constexpr std::size_t bytes_max = 2u << 20;

  private:
    std::vector<std::unique_ptr<output_buffer>> free_;
    std::size_t bytes_ = 0; // of free_, unused room included
};

} // namespace fb::core
