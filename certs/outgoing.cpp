#include "certs/outgoing.hpp"

#include <algorithm>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "certs/error.hpp"
#include "certs/handles.hpp"

namespace fb::certs {
namespace {

using context_ptr = std::unique_ptr<SSL_CTX, freed_by<SSL_CTX_free>>;
using ssl_ptr = std::unique_ptr<SSL, freed_by<SSL_free>>;

context_ptr make_context(const outgoing_settings& s) {
    context_ptr context(SSL_CTX_new(TLS_client_method()));
    require(context != nullptr, "TLS");
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    const bool trusts = s.ca.empty() ? SSL_CTX_set_default_verify_paths(context.get()) == 1
                                     : SSL_CTX_load_verify_locations(context.get(), s.ca.c_str(), nullptr) == 1;
    if (!trusts) throw failure(s.ca.string() + ": cannot be read as certificates (PEM): " + openssl_errors());
    return context;
}

/// A name, or an address: the certificate must hold it.
bool expect_host(SSL* ssl, const std::string& host) {
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1) return true;
    ERR_clear_error();
    return SSL_set_tlsext_host_name(ssl, host.c_str()) == 1 && SSL_set1_host(ssl, host.c_str()) == 1;
}

} // namespace

struct outgoing::impl {
    bio_ptr socket; // null once TLS has it
    context_ptr context;
    ssl_ptr tls;
};

outgoing::outgoing(const std::string& host, std::uint16_t port, const outgoing_settings& s)
    : impl_(std::make_unique<impl>()) {
    const std::string where = host + ":" + std::to_string(port);
    ERR_clear_error();
    impl_->socket.reset(BIO_new(BIO_s_connect()));
    require(impl_->socket != nullptr, "connection");
    BIO* socket = impl_->socket.get();
    BIO_set_conn_hostname(socket, host.c_str());
    BIO_set_conn_port(socket, std::to_string(port).c_str());
    if (BIO_do_connect_retry(socket, static_cast<int>(s.patience.count()), -1) != 1)
        throw failure(where + ": cannot be reached: " + openssl_errors());
    int fd = -1;
    BIO_get_fd(socket, &fd);
    ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK); // the limit on connecting has made it so
    timeval limit{};
    limit.tv_sec = s.patience.count();
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (!s.tls) return;

    impl_->context = make_context(s);
    impl_->tls.reset(SSL_new(impl_->context.get()));
    require(impl_->tls != nullptr && expect_host(impl_->tls.get(), host), "TLS");
    SSL_set_bio(impl_->tls.get(), socket, socket);
    (void)impl_->socket.release();
    if (SSL_connect(impl_->tls.get()) == 1) return;
    const long verdict = SSL_get_verify_result(impl_->tls.get());
    throw failure(where + ": " +
                  (verdict != X509_V_OK
                       ? std::string("its certificate is not accepted: ") + X509_verify_cert_error_string(verdict)
                       : "no TLS: " + openssl_errors()));
}

outgoing::~outgoing() {
    if (impl_->tls) SSL_shutdown(impl_->tls.get());
    ERR_clear_error();
}

bool outgoing::write(std::string_view bytes) {
    while (!bytes.empty()) {
        const int size = static_cast<int>(std::min<std::size_t>(bytes.size(), 1 << 20));
        const int sent = impl_->tls ? SSL_write(impl_->tls.get(), bytes.data(), size)
                                    : BIO_write(impl_->socket.get(), bytes.data(), size);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

std::optional<std::size_t> outgoing::read(std::span<char> into) {
    const int size = static_cast<int>(std::min<std::size_t>(into.size(), 1 << 20));
    const int got =
        impl_->tls ? SSL_read(impl_->tls.get(), into.data(), size) : BIO_read(impl_->socket.get(), into.data(), size);
    if (got > 0) return static_cast<std::size_t>(got);
    const bool ended = impl_->tls ? SSL_get_error(impl_->tls.get(), got) == SSL_ERROR_ZERO_RETURN
                                  : got == 0 && !BIO_should_retry(impl_->socket.get());
    if (ended) return 0;
    return std::nullopt;
}

} // namespace fb::certs
