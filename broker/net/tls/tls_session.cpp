#include "broker/net/tls/tls_session.hpp"

#include <cerrno>
#include <system_error>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "certs/error.hpp"
#include "certs/peer_check.hpp"

namespace fb::net {

namespace {

/// SSL_get_error() looks at the thread's queue and errno, where other sessions leave theirs.
void forget_errors() {
    ERR_clear_error();
    errno = 0;
}

} // namespace

tls_result tls_session::handshake() {
    if (ended_ != tls_status::ok) return {ended_};
    forget_errors();
    const auto result = outcome(SSL_do_handshake(ssl_.get()));
    if (result.status != tls_status::ok) return result;
    if (auto reason = certs::refuse_peer(ssl_.get())) return end(tls_status::failed, std::move(*reason));
    return result;
}

tls_result tls_session::read(std::span<char> out) {
    if (ended_ != tls_status::ok) return {ended_};
    if (out.empty()) return {};
    forget_errors();
    std::size_t bytes = 0;
    auto result = outcome(SSL_read_ex(ssl_.get(), out.data(), out.size(), &bytes));
    result.bytes = bytes;
    return result;
}

tls_result tls_session::write(std::string_view bytes) {
    if (ended_ != tls_status::ok) return {ended_};
    if (bytes.empty()) return {};
    forget_errors();
    std::size_t written = 0;
    auto result = outcome(SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written));
    result.bytes = written;
    return result;
}

void tls_session::shutdown() noexcept {
    if (!ssl_ || ended_ != tls_status::ok || !SSL_is_init_finished(ssl_.get())) return;
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
}

bool tls_session::has_pending() const noexcept { return ssl_ && SSL_has_pending(ssl_.get()) == 1; }

bool tls_session::resumed() const noexcept { return ssl_ && SSL_session_reused(ssl_.get()) == 1; }

X509* tls_session::peer_certificate() const noexcept {
    if (!ssl_ || ended_ == tls_status::failed || SSL_get_verify_result(ssl_.get()) != X509_V_OK) return nullptr;
    return SSL_get0_peer_certificate(ssl_.get());
}

const char* tls_session::protocol() const noexcept { return ssl_ ? SSL_get_version(ssl_.get()) : ""; }

tls_result tls_session::outcome(int returned) {
    const int system_error = errno;
    switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_NONE: return {};
    case SSL_ERROR_WANT_READ: return {tls_status::want_read};
    case SSL_ERROR_WANT_WRITE: return {tls_status::want_write};
    case SSL_ERROR_ZERO_RETURN: return {tls_status::closed};
    case SSL_ERROR_SYSCALL:
        if (system_error == 0 || system_error == ECONNRESET || system_error == EPIPE)
            return end(tls_status::closed,
                       system_error == 0 ? "connection closed" : std::generic_category().message(system_error));
        return end(tls_status::failed, std::generic_category().message(system_error));
    default: break;
    }
    std::string text = certs::openssl_errors();
    if (const long verified = SSL_get_verify_result(ssl_.get()); verified != X509_V_OK)
        text += std::string(": ") + X509_verify_cert_error_string(verified);
    return end(tls_status::failed, std::move(text));
}

/// The session is of no further use: OpenSSL forbids every call after a fatal error.
tls_result tls_session::end(tls_status how, std::string text) {
    ended_ = how;
    error_text_ = std::move(text);
    return {how};
}

} // namespace fb::net
