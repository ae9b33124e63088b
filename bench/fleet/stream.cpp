#include "bench/fleet/stream.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>

namespace fb::fleet {
namespace {

constexpr std::size_t output_kept_bytes = 64 * 1024; // a larger buffer is given back once it is empty
constexpr int reads_per_event = 4;                   // then others get their turn

std::string tls_failure(SSL* ssl, int result) {
    const auto verify = SSL_get_verify_result(ssl);
    if (verify != X509_V_OK) return std::string("server not trusted: ") + X509_verify_cert_error_string(verify);
    const auto reason = take_openssl_error();
    if (!reason.empty()) return "TLS: " + reason;
    return SSL_get_error(ssl, result) == SSL_ERROR_ZERO_RETURN ? "closed by peer" : "connection cut";
}

} // namespace

socket_address resolve(const url& where) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const auto port = std::to_string(where.port);
    const int error = getaddrinfo(where.host.c_str(), port.c_str(), &hints, &found);
    if (error != 0) throw std::runtime_error("cannot resolve " + where.host + ": " + gai_strerror(error));
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, &freeaddrinfo);
    socket_address out;
    std::memcpy(&out.storage, found->ai_addr, found->ai_addrlen);
    out.size = found->ai_addrlen;
    return out;
}

void stream::open(const socket_address& to, const tls_choice& tls, const socket_address* from) {
    close();
    ++epoch_;
    phase_ = phase::connecting;
    fd_ = socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) return fail_later(std::string("socket: ") + std::strerror(errno));
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (small_kernel_buffers_) {
        const int receive_bytes = 4096;
        const int segment_bytes = 536; // the sender's buffer grows with the size of a segment
        setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
        setsockopt(fd_, IPPROTO_TCP, TCP_MAXSEG, &segment_bytes, sizeof segment_bytes);
    }
    if (from != nullptr) {
        setsockopt(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        if (bind(fd_, reinterpret_cast<const sockaddr*>(&from->storage), from->size) != 0)
            return fail_later(std::string("bind: ") + std::strerror(errno));
    }
    if (connect(fd_, reinterpret_cast<const sockaddr*>(&to.storage), to.size) != 0 && errno != EINPROGRESS)
        return fail_later(std::string("connect: ") + std::strerror(errno));
    if (tls.context != nullptr) {
        ssl_ = tls.context->make(fd_, tls.host, tls.credentials);
        if (!ssl_) return fail_later("TLS: " + take_openssl_error());
        if (tls.session != nullptr) {
            if (*tls.session) SSL_set_session(ssl_.get(), tls.session->get());
            tls_client::keep_session_in(ssl_.get(), tls.session);
        }
    }
    waiting_for_ = EPOLLOUT;
    slot_ = loop_.add(fd_, waiting_for_, *this);
    registered_ = true;
}

void stream::close() {
    if (phase_ == phase::closed) return;
    if (phase_ == phase::open) {
        flush_wanted_ = false;
        while (written_ < output_.size() && write_once()) {
        }
        if (ssl_) SSL_shutdown(ssl_.get());
    }
    take_openssl_error();
    if (failing_ != 0) loop_.cancel(failing_);
    failing_ = 0;
    if (registered_) loop_.remove(fd_, slot_);
    if (fd_ >= 0) ::close(fd_);
    loop_.forget_turn_end(*this);
    ssl_.reset();
    output_.clear();
    output_.shrink_to_fit();
    fd_ = -1;
    written_ = 0;
    registered_ = flush_wanted_ = blocked_ = paused_ = false;
    phase_ = phase::closed;
    ++epoch_;
}

void stream::want_flush() {
    if (phase_ != phase::open || flush_wanted_ || blocked_) return;
    flush_wanted_ = true;
    loop_.at_turn_end(*this);
}

void stream::pause_reading(bool paused) {
    paused_ = paused;
    if (phase_ != phase::open) return;
    wait_for((paused ? 0U : EPOLLIN) | (blocked_ ? EPOLLOUT : 0U));
    // What OpenSSL has decrypted already makes no descriptor ready.
    if (!paused && ssl_ && SSL_has_pending(ssl_.get()) == 1) want_flush();
}

void stream::wait_for(std::uint32_t epoll_events) {
    if (epoll_events == waiting_for_) return;
    waiting_for_ = epoll_events;
    loop_.change(fd_, slot_, epoll_events);
}

void stream::on_ready(std::uint32_t epoll_events) {
    switch (phase_) {
    case phase::closed: return;
    case phase::connecting: return after_connect();
    case phase::handshaking: return handshake();
    case phase::open: break;
    }
    const auto epoch = epoch_;
    if ((epoll_events & EPOLLOUT) != 0) flush();
    if (epoch != epoch_) return;
    // Broken: epoll says so even to a paused stream, again and again, so the end is read at once.
    if ((epoll_events & (EPOLLHUP | EPOLLERR)) != 0) paused_ = false;
    if (!paused_ && (epoll_events & ~static_cast<std::uint32_t>(EPOLLOUT)) != 0) read_some();
}

void stream::on_turn_end() {
    flush_wanted_ = false;
    const auto epoch = epoch_;
    if (ssl_ && !paused_ && SSL_has_pending(ssl_.get()) == 1) read_tls();
    if (epoch == epoch_) flush();
}

void stream::after_connect() {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return fail(std::string("connect: ") + std::strerror(error));
    if (!ssl_) return became_open();
    phase_ = phase::handshaking;
    handshake();
}

void stream::handshake() {
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) return became_open();
    switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ: return wait_for(EPOLLIN);
    case SSL_ERROR_WANT_WRITE: return wait_for(EPOLLOUT);
    default: return fail(tls_failure(ssl_.get(), result));
    }
}

void stream::became_open() {
    phase_ = phase::open;
    wait_for(EPOLLIN);
    events_.on_open();
}

void stream::read_some() { ssl_ ? read_tls() : read_plain(); }

void stream::read_plain() {
    const auto epoch = epoch_;
    for (int i = 0; i < reads_per_event; ++i) {
        const auto got = recv(fd_, loop_.scratch(), read_bytes_max_, 0);
        if (got > 0) {
            events_.on_bytes({loop_.scratch(), static_cast<std::size_t>(got)});
            // A short read emptied the socket: no second call to be told so.
            if (epoch != epoch_ || paused_ || static_cast<std::size_t>(got) < read_bytes_max_) return;
        } else if (got == 0) {
            return fail("closed by peer");
        } else {
            if (errno == EAGAIN || errno == EINTR) return;
            return fail(std::string("read: ") + std::strerror(errno));
        }
    }
}

void stream::read_tls() {
    const auto epoch = epoch_;
    for (int i = 0; i < reads_per_event; ++i) {
        // Records are gathered, so that a burst is one event.
        std::size_t filled = 0;
        int result = 1;
        while (filled < read_bytes_max_ && result > 0) {
            result = SSL_read(ssl_.get(), loop_.scratch() + filled, static_cast<int>(read_bytes_max_ - filled));
            if (result > 0) filled += static_cast<std::size_t>(result);
        }
        const int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
        const bool ended = error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
        const auto why = ended ? tls_failure(ssl_.get(), result) : std::string{};
        if (filled > 0) events_.on_bytes({loop_.scratch(), filled});
        if (epoch != epoch_) return;
        if (ended) return fail(why);
        if (error != SSL_ERROR_NONE || paused_) return;
    }
    want_flush(); // more may be pending inside OpenSSL
}

/// False when the kernel takes no more now, or the connection is broken (a read will tell).
bool stream::write_once() {
    const char* from = output_.data() + written_;
    const auto size = output_.size() - written_;
    if (ssl_) {
        const int result = SSL_write(ssl_.get(), from, static_cast<int>(std::min<std::size_t>(size, 1 << 30)));
        if (result <= 0) return false;
        written_ += static_cast<std::size_t>(result);
        return true;
    }
    const auto sent = ::send(fd_, from, size, MSG_NOSIGNAL);
    if (sent < 0) return false;
    written_ += static_cast<std::size_t>(sent);
    return static_cast<std::size_t>(sent) == size;
}

void stream::flush() {
    while (written_ < output_.size() && write_once()) {
    }
    if (ssl_) take_openssl_error();
    const bool done = written_ == output_.size();
    if (done) {
        output_.clear();
        written_ = 0;
        if (output_.capacity() > output_kept_bytes) output_.shrink_to_fit();
    }
    if (blocked_ == done) {
        blocked_ = !done;
        wait_for((paused_ ? 0U : EPOLLIN) | (blocked_ ? EPOLLOUT : 0U));
    }
}

void stream::fail(const std::string& why) {
    output_.clear(); // nobody would read it
    written_ = 0;
    close();
    events_.on_closed(why);
}

void stream::fail_later(const std::string& why) {
    failing_ = loop_.after({}, [this, why] {
        failing_ = 0;
        fail(why);
    });
}

} // namespace fb::fleet
