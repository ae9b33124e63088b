// A non-blocking client connection, TCP or TLS, that can be opened again after it was closed.
//
// 1. Events come only from the loop, never from inside open(), send() or close().
// 2. After close(), and after on_closed, no event comes until the next open().
// 3. send() gathers; the bytes leave at the end of the turn, in one write when the kernel takes them.
// A handler may call close() and open() from any event, but must not destroy the stream in one.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>
#include <string_view>

#include "bench/fleet/loop.hpp"
#include "bench/fleet/tls_client.hpp"
#include "bench/fleet/url.hpp"

namespace fb::fleet {

struct socket_address {
    sockaddr_storage storage{};
    socklen_t size = 0;
};

/// Resolves host and port (blocking: done once, before the loop runs, unless it is a literal). Throws
/// std::runtime_error.
socket_address resolve(const url& where);

/// How to speak TLS on a stream; all pointers outlive it. context == nullptr: plain TCP.
struct tls_choice {
    const tls_client* context = nullptr;
    std::string host;
    const tls_credentials* credentials = nullptr;
    ssl_session_ptr* session = nullptr; // offered when it holds one, filled when the server gives one
};

struct stream_events {
    virtual void on_open() = 0;
    virtual void on_bytes(std::string_view bytes) = 0; // valid during the call
    virtual void on_closed(const std::string& why) = 0;

  protected:
    ~stream_events() = default;
};

class stream final : loop::watcher {
  public:
    stream(loop& l, stream_events& events)
        : loop_(l)
        , events_(events) {}
    ~stream() { close(); }
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;

    /// `from`: bind to this address first (many connections to one port need several sources), or null.
    void open(const socket_address& to, const tls_choice& tls, const socket_address* from = nullptr);
    void send(std::string_view bytes) {
        output_.append(bytes);
        want_flush();
    }
    /// The gathered output, for encoders that append in place. REQUIRES: want_flush() afterwards.
    std::string& output() { return output_; }
    void want_flush();
    /// Writes what was gathered as far as the kernel takes it at once, and closes.
    void close();
    void pause_reading(bool paused);
    /// The most one read takes: small for a reader that must not be given a burst.
    void set_read_bytes_max(std::size_t bytes) { read_bytes_max_ = bytes; }

    /// From the next open() on the kernel keeps little for this end, and the peer's kernel little on its way here: what
    /// is not read soon waits at the peer.
    void keep_kernel_buffers_small() { small_kernel_buffers_ = true; }

    bool is_open() const { return phase_ == phase::open; }
    bool is_closed() const { return phase_ == phase::closed; }
    /// Whether the last handshake resumed a session.
    bool resumed() const { return ssl_ && SSL_session_reused(ssl_.get()) == 1; }
    std::size_t unsent_bytes() const { return output_.size() - written_; }

  private:
    enum class phase {
        closed,
        connecting,  // TCP
        handshaking, // TLS
        open,
    };

    void on_ready(std::uint32_t epoll_events) override;
    void on_turn_end() override;
    void after_connect();
    void handshake();
    void became_open();
    void read_some();
    void read_plain();
    void read_tls();
    void flush();
    bool write_once();
    void wait_for(std::uint32_t epoll_events);
    void fail(const std::string& why);
    void fail_later(const std::string& why);

    loop& loop_;
    stream_events& events_;
    phase phase_ = phase::closed;
    int fd_ = -1;
    std::uint32_t slot_ = 0;
    bool registered_ = false; // with the loop
    std::uint32_t waiting_for_ = 0;
    std::uint32_t epoch_ = 0; // counts open() and close(): tells an event's caller that the world changed under it
    bool flush_wanted_ = false;
    bool blocked_ = false; // the kernel took less than everything: wait for EPOLLOUT
    bool paused_ = false;
    bool small_kernel_buffers_ = false;
    std::size_t read_bytes_max_ = loop::scratch_bytes;
    loop::timer_id failing_ = 0;
    ssl_ptr ssl_;
    std::string output_;
    std::size_t written_ = 0;
};

} // namespace fb::fleet
