// One TLS connection over a non-blocking descriptor, without an event loop: every call does what can be done now and
// says which readiness it wants next. The loop decides when to call again. Not asio::ssl::stream: no BIO pair, no
// buffers of our own; OpenSSL reads and writes the descriptor itself and releases its buffers when idle.
//
// A session belongs to one thread at a time; it may be handed to another between calls (handshake pool, home shard).
// SIGPIPE must be ignored by the process.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "certs/tls_context.hpp"

typedef struct x509_st X509;

namespace fb::net {

enum class tls_status {
    ok,         // `bytes` were read or written (more than 0), or the handshake is done
    want_read,  // call again once the descriptor is readable (either direction may want this)
    want_write, // call again once it is writable
    closed,     // the peer said close_notify or ended the connection
    failed,     // protocol or verification error; see error_text()
};

struct tls_result {
    tls_status status = tls_status::ok;
    std::size_t bytes = 0;
};

class tls_session {
  public:
    tls_session() = default;
    explicit tls_session(certs::ssl_ptr ssl)
        : ssl_(std::move(ssl)) {}

    explicit operator bool() const noexcept { return ssl_ != nullptr; }
    /// Done only when certs::refuse_peer has nothing against the peer, on resumption too.
    tls_result handshake();
    tls_result read(std::span<char> out);
    tls_result write(std::string_view bytes);
    /// Sends close_notify if that is possible without waiting.
    void shutdown() noexcept;
    /// Bytes are waiting inside OpenSSL: reading must go on before waiting for the descriptor (SSL_has_pending:
    /// SSL_pending misses read-ahead).
    bool has_pending() const noexcept;
    bool resumed() const noexcept;
    /// The verified client certificate, or null. Owned by the session.
    X509* peer_certificate() const noexcept;
    /// Why the last call failed, for the log: "certificate verify failed: unable to get local issuer certificate".
    const std::string& error_text() const noexcept { return error_text_; }
    const char* protocol() const noexcept; // "TLSv1.3"

  private:
    tls_result outcome(int returned);
    tls_result end(tls_status how, std::string text);

    certs::ssl_ptr ssl_;
    tls_status ended_ = tls_status::ok; // failed or closed for good: what every further call answers
    std::string error_text_;
};

} // namespace fb::net
