#include "broker/net/tls/async_tls_stream.hpp"

#include <array>

#include <boost/asio/error.hpp>
#include <boost/system/errc.hpp>

namespace fb::net {

namespace asio = boost::asio;

namespace {

bool must_wait(const boost::system::error_code& error) {
    return error == asio::error::would_block || error == asio::error::try_again;
}

} // namespace

async_stream::async_stream(socket_type socket)
    : socket_(std::move(socket)) {
    error_code ignored; // only a closed socket refuses, and the first operation reports that
    socket_.non_blocking(true, ignored);
}

async_stream::async_stream(socket_type socket, const certs::tls_context& context)
    : async_stream(std::move(socket)) {
    secure_ = true;
    tls_ = tls_session(context.new_session(socket_.native_handle()));
}

void async_stream::close() noexcept {
    error_code ignored;
    socket_.close(ignored);
}

async_stream::error_code async_stream::unusable() const {
    if (!socket_.is_open()) return asio::error::operation_aborted;
    if (secure_ && !tls_) return asio::error::no_memory; // never fall back to plain text
    return {};
}

async_stream::attempt async_stream::outcome(const tls_result& result) {
    switch (result.status) {
    case tls_status::ok: return {{}, {}, result.bytes};
    case tls_status::want_read: return {socket_type::wait_read, {}, 0};
    case tls_status::want_write: return {socket_type::wait_write, {}, 0};
    case tls_status::closed: return {{}, asio::error::eof, 0};
    case tls_status::failed: break;
    }
    return {{}, make_error_code(boost::system::errc::protocol_error), 0};
}

async_stream::attempt async_stream::try_handshake() {
    if (const auto error = unusable()) return {{}, error, 0};
    return secure_ ? outcome(tls_.handshake()) : attempt{};
}

async_stream::attempt async_stream::try_read(asio::mutable_buffer out) {
    if (const auto error = unusable()) return {{}, error, 0};
    if (out.size() == 0) return {};
    // Reading comes before waiting, always: what read-ahead took from the socket raises no readiness.
    if (secure_) return outcome(tls_.read({static_cast<char*>(out.data()), out.size()}));
    error_code error;
    const auto bytes = socket_.read_some(out, error);
    if (must_wait(error)) return {socket_type::wait_read, {}, 0};
    return {{}, error, bytes};
}

async_stream::attempt async_stream::try_write(asio::const_buffer bytes) {
    if (const auto error = unusable()) return {{}, error, 0};
    if (bytes.size() == 0) return {};
    if (secure_) return outcome(tls_.write({static_cast<const char*>(bytes.data()), bytes.size()}));
    error_code error;
    const auto written = socket_.write_some(bytes, error);
    if (must_wait(error)) return {socket_type::wait_write, {}, 0};
    return {{}, error, written};
}

async_stream::attempt async_stream::try_shutdown() {
    if (const auto error = unusable()) return {{}, error, 0};
    error_code error;
    if (!said_goodbye_) {
        said_goodbye_ = true;
        if (secure_) tls_.shutdown();
        socket_.shutdown(socket_type::shutdown_send, error);
    }
    std::array<char, 4096> unread;
    while (discarded_bytes_ < discarded_bytes_max) {
        const auto bytes = socket_.read_some(asio::buffer(unread), error);
        if (must_wait(error)) return {socket_type::wait_read, {}, 0};
        if (error) break; // the peer is gone, which is what was waited for
        discarded_bytes_ += bytes;
    }
    return {};
}

} // namespace fb::net
