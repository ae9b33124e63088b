// What must hold for a peer after the handshake even when the handshake was a resumption: OpenSSL then takes the
// certificate and its verdict from the ticket and verifies nothing. Any thread.
#pragma once

#include <ctime>
#include <optional>
#include <string>

typedef struct ssl_st SSL;
typedef struct x509_st X509;
typedef struct X509_VERIFY_PARAM_st X509_VERIFY_PARAM;

namespace fb::certs {

/// Why this peer must not come in: no certificate though one is required, a verdict that is not OK, or a certificate
/// that has expired since. tls_session::handshake calls it; nobody else needs to.
std::optional<std::string> refuse_peer(SSL* ssl);

/// The time certificates are judged by (tls_settings::clock_floor), of a session or of one verification.
std::time_t verification_time(SSL* ssl) noexcept;
std::time_t verification_time(const X509_VERIFY_PARAM* parameters) noexcept;

/// Not yet valid counts as well.
bool outside_validity(X509* certificate, std::time_t now) noexcept;

} // namespace fb::certs
