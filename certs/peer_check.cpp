#include "certs/peer_check.hpp"

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

namespace fb::certs {

std::time_t verification_time(SSL* ssl) noexcept { return verification_time(SSL_get0_param(ssl)); }

std::time_t verification_time(const X509_VERIFY_PARAM* parameters) noexcept {
    const bool fixed =
        X509_VERIFY_PARAM_get_flags(const_cast<X509_VERIFY_PARAM*>(parameters)) & X509_V_FLAG_USE_CHECK_TIME;
    return fixed ? X509_VERIFY_PARAM_get_time(parameters) : std::time(nullptr);
}

bool outside_validity(X509* certificate, std::time_t now) noexcept {
    // X509_cmp_time answers 0 for a time it cannot read, which must count as outside.
    return X509_cmp_time(X509_get0_notBefore(certificate), &now) != -1 ||
           X509_cmp_time(X509_get0_notAfter(certificate), &now) != 1;
}

std::optional<std::string> refuse_peer(SSL* ssl) {
    const int mode = SSL_get_verify_mode(ssl);
    if (!(mode & SSL_VERIFY_PEER)) return std::nullopt;
    X509* certificate = SSL_get0_peer_certificate(ssl);
    if (!certificate) {
        if (mode & SSL_VERIFY_FAIL_IF_NO_PEER_CERT) return "peer did not return a certificate";
        return std::nullopt;
    }
    if (const long verified = SSL_get_verify_result(ssl); verified != X509_V_OK)
        return std::string("certificate verify failed: ") + X509_verify_cert_error_string(verified);
    if (outside_validity(certificate, verification_time(ssl)))
        return "certificate verify failed: certificate has expired since the session began";
    return std::nullopt;
}

} // namespace fb::certs
