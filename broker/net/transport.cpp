#include "broker/net/transport.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

namespace fb::net {
namespace {

tls_result from_errno(tls_status wait) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {wait, 0};
    return {tls_status::closed, 0};
}

} // namespace

transport::transport(transport&& other) noexcept
    : fd_(std::exchange(other.fd_, -1))
    , tls_(std::move(other.tls_))
    , frames_(std::move(other.frames_)) {}

transport& transport::operator=(transport&& other) noexcept {
    close();
    fd_ = std::exchange(other.fd_, -1);
    tls_ = std::move(other.tls_);
    frames_ = std::move(other.frames_);
    return *this;
}

transport::~transport() { close(); }

tls_result transport::read(std::span<char> out) { return frames_ ? read_frames(out) : read_bytes(out); }

tls_result transport::write(std::span<const std::string_view> pieces, std::span<char> scratch) {
    return frames_ ? write_frames(pieces, scratch) : write_bytes(pieces, scratch);
}

tls_result transport::read_frames(std::span<char> out) {
    tls_result r;
    if (!frames_->ended()) {
        r = read_bytes(out);
        if (r.status != tls_status::ok) return r;
        r.bytes = frames_->decode(out.first(r.bytes));
        send_control();
    }
    if (r.bytes == 0 && frames_->ended()) r.status = frames_->fault() ? tls_status::failed : tls_status::closed;
    return r;
}

tls_result transport::write_frames(std::span<const std::string_view> pieces, std::span<char> scratch) {
    std::size_t total = 0;
    for (std::string_view piece : pieces) total += piece.size();
    std::array<std::string_view, 64> framed;
    std::size_t count = 0;
    if (const std::string_view head = frames_->prepare(total); !head.empty()) framed[count++] = head;
    std::uint64_t left = frames_->frame_left();
    for (std::size_t i = 0; i < pieces.size() && count < framed.size() && left != 0; ++i) {
        framed[count] = pieces[i].substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left, pieces[i].size())));
        left -= framed[count++].size();
    }
    if (count == 0) return {tls_status::closed, 0}; // Close was sent: the rest will never be
    tls_result r = write_bytes({framed.data(), count}, scratch);
    r.bytes = frames_->sent(r.bytes);
    return r;
}

/// If that is possible without waiting and between frames; else write() does it.
void transport::send_control() {
    if (!frames_->has_control() || !frames_->idle()) return;
    const std::string_view control = frames_->prepare(0);
    frames_->sent((tls_ ? tls_.write(control) : write_plain({&control, 1})).bytes);
}

tls_result transport::read_bytes(std::span<char> out) {
    if (tls_) { // which reads ahead, and says only in this way how far
        const tls_result r = tls_.read(out);
        drained_ = r.status == tls_status::want_read;
        return r;
    }
    const ssize_t n = ::recv(fd_, out.data(), out.size(), 0);
    drained_ = n < 0 ? errno != EINTR : static_cast<std::size_t>(n) < out.size();
    if (n > 0) return {tls_status::ok, static_cast<std::size_t>(n)};
    if (n == 0) return {tls_status::closed, 0};
    return from_errno(tls_status::want_read);
}

tls_result transport::write_bytes(std::span<const std::string_view> pieces, std::span<char> scratch) {
    return tls_ ? write_tls(pieces, scratch) : write_plain(pieces);
}

tls_result transport::write_plain(std::span<const std::string_view> pieces) {
    if (pieces.size() == 1) { // cheaper than sendmsg
        const ssize_t n = ::send(fd_, pieces.front().data(), pieces.front().size(), MSG_NOSIGNAL);
        return n >= 0 ? tls_result{tls_status::ok, static_cast<std::size_t>(n)} : from_errno(tls_status::want_write);
    }
    std::array<iovec, 64> parts;
    const std::size_t count = std::min(pieces.size(), parts.size());
    for (std::size_t i = 0; i < count; ++i) parts[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    const ssize_t n = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (n >= 0) return {tls_status::ok, static_cast<std::size_t>(n)};
    return from_errno(tls_status::want_write);
}

/// One record. After a want_write the next call begins with the same bytes, and at least as many: what is unsent stays
/// at the front of the output.
tls_result transport::write_tls(std::span<const std::string_view> pieces, std::span<char> scratch) {
    if (pieces.size() == 1 || pieces.front().size() >= scratch.size()) {
        return tls_.write(pieces.front().substr(0, scratch.size()));
    }
    std::size_t used = 0;
    for (std::string_view piece : pieces) {
        const std::size_t part = std::min(piece.size(), scratch.size() - used);
        std::copy_n(piece.data(), part, scratch.data() + used);
        used += part;
    }
    return tls_.write({scratch.data(), used});
}

void transport::finish() noexcept {
    if (fd_ < 0) return;
    if (frames_) {
        frames_->say_close();
        send_control();
        frames_.reset(); // what the peer still says is nobody's business
    }
    if (tls_) tls_.shutdown();
    ::shutdown(fd_, SHUT_WR);
}

void transport::close() noexcept {
    frames_.reset();
    tls_ = tls_session{};
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

} // namespace fb::net
