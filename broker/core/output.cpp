#include "broker/core/output.hpp"

#include <algorithm>

#include "broker/core/memory_use.hpp"

namespace fb::core {
namespace {
constexpr std::size_t compact_above = 64 * 1024;    // bytes sent and still kept
constexpr std::size_t pooled_bytes_max = 64 * 1024; // of one buffer
} // namespace

output_buffer::~output_buffer() { count_memory(-static_cast<std::int64_t>(counted_bytes_)); }

void output_buffer::count() {
    const std::size_t held = held_bytes();
    if (held == counted_bytes_) return;
    count_memory(static_cast<std::int64_t>(held) - static_cast<std::int64_t>(counted_bytes_));
    counted_bytes_ = held;
}

void output_buffer::append_payload(const message_ptr& m) {
    if (m->payload().empty()) return;
    pieces_.push_back({text_.size(), 0, m});
    payload_bytes_ += m->payload().size();
}

std::size_t output_buffer::gather(std::span<std::string_view> out) const {
    std::size_t filled = 0;
    std::size_t at = text_sent_;
    std::size_t piece_no = first_piece_;
    while (filled < out.size()) {
        const bool has_piece = piece_no < pieces_.size();
        const std::size_t text_end = has_piece ? pieces_[piece_no].at : text_.size();
        if (at < text_end) {
            out[filled++] = std::string_view(text_).substr(at, text_end - at);
            at = text_end;
        } else if (has_piece) {
            const piece& p = pieces_[piece_no++];
            out[filled++] = p.message->payload().substr(p.sent);
        } else {
            break;
        }
    }
    return filled;
}

void output_buffer::consume(std::size_t count) {
    while (count > 0) {
        const bool has_piece = first_piece_ < pieces_.size();
        const std::size_t text_end = has_piece ? pieces_[first_piece_].at : text_.size();
        if (text_sent_ < text_end) {
            const std::size_t part = std::min(count, text_end - text_sent_);
            text_sent_ += part;
            count -= part;
        } else if (has_piece) {
            piece& p = pieces_[first_piece_];
            const std::size_t part = std::min(count, p.message->payload().size() - p.sent);
            p.sent += part;
            payload_bytes_ -= part;
            count -= part;
            if (p.sent == p.message->payload().size()) {
                p.message.reset();
                ++first_piece_;
            }
        } else {
            return;
        }
    }
    if (size() == 0)
        clear();
    else if (text_sent_ > compact_above)
        compact();
}

void output_buffer::compact() {
    text_.erase(0, text_sent_);
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_piece_));
    for (piece& p : pieces_) p.at -= text_sent_;
    text_sent_ = 0;
    first_piece_ = 0;
}

void output_buffer::clear() {
    text_.clear();
    text_sent_ = 0;
    pieces_.clear();
    first_piece_ = 0;
    payload_bytes_ = 0;
}

std::unique_ptr<output_buffer> output_pool::take() {
    if (free_.empty()) return std::make_unique<output_buffer>();
    auto buffer = std::move(free_.back());
    free_.pop_back();
    bytes_ -= buffer->held_bytes();
    return buffer;
}

void output_pool::give_back(std::unique_ptr<output_buffer> buffer) {
    buffer->clear();
    const std::size_t held = buffer->held_bytes();
    if (held > pooled_bytes_max || bytes_ + held > bytes_max) return;
    bytes_ += held;
    free_.push_back(std::move(buffer));
}

} // namespace fb::core
