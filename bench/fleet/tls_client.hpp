// What TLS needs on the client's side: a context that trusts one CA, the certificate a device presents, and SSL objects
// that check the server's name or address. OpenSSL objects are owned by unique_ptrs with their own deleters.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

namespace fb::fleet {

template <auto Free>
struct openssl_deleter {
    template <class T>
    void operator()(T* p) const {
        Free(p);
    }
};
using ssl_ptr = std::unique_ptr<SSL, openssl_deleter<SSL_free>>;
using ssl_session_ptr = std::unique_ptr<SSL_SESSION, openssl_deleter<SSL_SESSION_free>>;
using x509_ptr = std::unique_ptr<X509, openssl_deleter<X509_free>>;
using key_ptr = std::unique_ptr<EVP_PKEY, openssl_deleter<EVP_PKEY_free>>;

/// A client certificate with its chain and key. Shared by as many connections as like.
struct tls_credentials {
    x509_ptr certificate;
    std::vector<x509_ptr> chain;
    key_ptr key;
};

/// Throws std::runtime_error that names the file which cannot be used.
tls_credentials load_credentials(const std::string& certificate_path, const std::string& key_path);

class tls_client {
  public:
    /// Trusts exactly the certificates in `ca_path`. Throws std::runtime_error.
    explicit tls_client(const std::string& ca_path);

    /// A client SSL for `fd` that accepts only a server whose certificate is for `host` (a DNS name or an IP address).
    /// `credentials` may be null. Null when OpenSSL refuses.
    ssl_ptr make(int fd, const std::string& host, const tls_credentials* credentials) const;

    /// Sessions that servers hand out are kept in `*place` by the SSL that has this called, for resumption.
    static void keep_session_in(SSL* ssl, ssl_session_ptr* place);

  private:
    std::unique_ptr<SSL_CTX, openssl_deleter<SSL_CTX_free>> context_;
};

/// The reason of the last failure on this thread's OpenSSL error queue, emptied; "" when there is none.
std::string take_openssl_error();

} // namespace fb::fleet
