// A TCP socket with or without TLS, as an AsyncReadStream and AsyncWriteStream for Beast. Readiness comes from the
// socket's async_wait, bytes from the non-blocking calls of tls_session, so an idle TLS connection owns no buffers.
//
// Lives on the thread of its io_context. Invariants:
// 1. At most one read and one write (or one handshake, or one shutdown) are outstanding; the stream stays where it is
// and
//    alive until they complete.
// 2. A completion handler never runs inside the initiating call.
// 3. After close() nothing touches the descriptor's number again; outstanding operations end with operation_aborted.
// There are no timeouts here: the owner runs a timer and calls close().
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/system/error_code.hpp>

#include "broker/net/tls/tls_session.hpp"
#include "certs/tls_context.hpp"

namespace fb::net {

class async_stream {
  public:
    using executor_type = boost::asio::io_context::executor_type;
    using socket_type = boost::asio::basic_stream_socket<boost::asio::ip::tcp, executor_type>;
    using error_code = boost::system::error_code;

    /// Plain TCP.
    explicit async_stream(socket_type socket);
    /// TLS: async_handshake comes before anything else.
    async_stream(socket_type socket, const certs::tls_context& context);

    executor_type get_executor() noexcept { return socket_.get_executor(); }
    socket_type& socket() noexcept { return socket_; }
    bool secure() const noexcept { return secure_; }
    /// Empty on a plain stream. Here are the peer's certificate and the protocol version.
    const tls_session& tls() const noexcept { return tls_; }
    /// What is behind errc::protocol_error, for the log.
    const std::string& error_text() const noexcept { return tls_.error_text(); }

    /// Handler: void(error_code). Does nothing on a plain stream.
    template <class Token>
    auto async_handshake(Token&& token);
    /// Handler: void(error_code, std::size_t). The peer's end of data is boost::asio::error::eof.
    template <class MutableBuffers, class Token>
    auto async_read_some(const MutableBuffers& buffers, Token&& token);
    template <class ConstBuffers, class Token>
    auto async_write_some(const ConstBuffers& buffers, Token&& token);
    /// Says goodbye (close_notify, FIN), then reads away what the peer still sends: closing a socket with unread bytes
    /// makes the kernel reset the connection, and the peer may lose the answer. Ends when the peer closes, so it needs
    /// the owner's timer. Handler: void(error_code), never an error unless cancelled. close() is still to be called.
    template <class Token>
    auto async_shutdown(Token&& token);
    /// At once and without a goodbye.
    void close() noexcept;

  private:
    /// One attempt: either it must wait, or it is over.
    struct attempt {
        std::optional<socket_type::wait_type> wait;
        error_code error;
        std::size_t bytes = 0;
    };
    template <bool with_bytes, class Try>
    struct operation;
    template <bool with_bytes, class Try, class Token>
    auto start(Try&& next, Token&& token);

    static attempt outcome(const tls_result& result);
    attempt try_handshake();
    attempt try_read(boost::asio::mutable_buffer out);
    attempt try_write(boost::asio::const_buffer bytes);
    attempt try_shutdown();
    error_code unusable() const;
    template <class ConstBuffers>
    boost::asio::const_buffer gather(const ConstBuffers& buffers);

    static constexpr std::size_t record_bytes_max = 16 * 1024; // one TLS record
    static constexpr std::size_t copied_bytes_max = 4 * 1024;  // a longer first buffer is sent from where it lies
    static constexpr std::size_t discarded_bytes_max = 1024 * 1024;

    socket_type socket_;
    tls_session tls_;
    bool secure_ = false;
    bool said_goodbye_ = false;
    std::size_t discarded_bytes_ = 0;
    std::string gathered_; // small buffers of the write in progress
};

template <bool with_bytes, class Try>
struct async_stream::operation {
    async_stream& stream;
    Try next;
    bool first = true;
    attempt last{};
    bool over = false;

    template <class Self>
    void operator()(Self& self, error_code waited = {}) {
        if (!over) {
            if (waited)
                last = {{}, waited, 0};
            else
                last = next();
            if (last.wait) {
                first = false;
                stream.socket_.async_wait(*last.wait, std::move(self));
                return;
            }
            over = true;
            if (first) { // still inside the initiating call
                boost::asio::post(stream.get_executor(), std::move(self));
                return;
            }
        }
        if constexpr (with_bytes)
            self.complete(last.error, last.bytes);
        else
            self.complete(last.error);
    }
};

template <bool with_bytes, class Try, class Token>
auto async_stream::start(Try&& next, Token&& token) {
    using op = operation<with_bytes, std::decay_t<Try>>;
    if constexpr (with_bytes)
        return boost::asio::async_compose<Token, void(error_code, std::size_t)>(op{*this, std::forward<Try>(next)},
                                                                                token, socket_);
    else
        return boost::asio::async_compose<Token, void(error_code)>(op{*this, std::forward<Try>(next)}, token, socket_);
}

template <class Token>
auto async_stream::async_handshake(Token&& token) {
    return start<false>([this] { return try_handshake(); }, std::forward<Token>(token));
}

template <class MutableBuffers, class Token>
auto async_stream::async_read_some(const MutableBuffers& buffers, Token&& token) {
    boost::asio::mutable_buffer out;
    for (auto it = boost::asio::buffer_sequence_begin(buffers); it != boost::asio::buffer_sequence_end(buffers); ++it) {
        out = *it;
        if (out.size() != 0) break;
    }
    return start<true>([this, out] { return try_read(out); }, std::forward<Token>(token));
}

template <class ConstBuffers, class Token>
auto async_stream::async_write_some(const ConstBuffers& buffers, Token&& token) {
    const auto bytes = gather(buffers);
    return start<true>([this, bytes] { return try_write(bytes); }, std::forward<Token>(token));
}

template <class Token>
auto async_stream::async_shutdown(Token&& token) {
    return start<false>([this] { return try_shutdown(); }, std::forward<Token>(token));
}

/// What the next write sends: a long first buffer alone, else as many small ones as fit into one record.
template <class ConstBuffers>
boost::asio::const_buffer async_stream::gather(const ConstBuffers& buffers) {
    gathered_.clear();
    boost::asio::const_buffer first;
    for (auto it = boost::asio::buffer_sequence_begin(buffers); it != boost::asio::buffer_sequence_end(buffers); ++it) {
        const boost::asio::const_buffer piece = *it;
        if (piece.size() == 0) continue;
        if (first.size() == 0) {
            first = piece;
            if (piece.size() > copied_bytes_max) break;
            continue;
        }
        if (gathered_.empty()) gathered_.assign(static_cast<const char*>(first.data()), first.size());
        gathered_.append(static_cast<const char*>(piece.data()),
                         std::min(piece.size(), record_bytes_max - gathered_.size()));
        if (gathered_.size() == record_bytes_max) break;
    }
    return gathered_.empty() ? first : boost::asio::const_buffer(gathered_.data(), gathered_.size());
}

} // namespace fb::net
