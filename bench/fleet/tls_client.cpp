#include "bench/fleet/tls_client.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <stdexcept>

namespace fb::fleet {
namespace {

using file_ptr = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

file_ptr open_file(const std::string& path) {
    file_ptr file(std::fopen(path.c_str(), "r"), &std::fclose);
    if (!file) throw std::runtime_error("cannot open " + path);
    return file;
}

bool is_address(const std::string& host) {
    unsigned char buffer[sizeof(in6_addr)];
    return inet_pton(AF_INET, host.c_str(), buffer) == 1 || inet_pton(AF_INET6, host.c_str(), buffer) == 1;
}

int session_slot() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return index;
}

int on_new_session(SSL* ssl, SSL_SESSION* session) {
    auto* place = static_cast<ssl_session_ptr*>(SSL_get_ex_data(ssl, session_slot()));
    if (place == nullptr) return 0; // not kept: OpenSSL frees it
    place->reset(session);
    return 1;
}

} // namespace

std::string take_openssl_error() {
    const auto code = ERR_peek_last_error();
    ERR_clear_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason == nullptr ? "" : reason;
}

tls_credentials load_credentials(const std::string& certificate_path, const std::string& key_path) {
    tls_credentials out;
    const auto certificates = open_file(certificate_path);
    out.certificate.reset(PEM_read_X509(certificates.get(), nullptr, nullptr, nullptr));
    if (!out.certificate) throw std::runtime_error("no certificate in " + certificate_path);
    while (auto* next = PEM_read_X509(certificates.get(), nullptr, nullptr, nullptr)) out.chain.emplace_back(next);
    ERR_clear_error(); // reading past the last one leaves "no start line"
    const auto key = open_file(key_path);
    out.key.reset(PEM_read_PrivateKey(key.get(), nullptr, nullptr, nullptr));
    if (!out.key) throw std::runtime_error("no private key in " + key_path);
    return out;
}

tls_client::tls_client(const std::string& ca_path)
    : context_(SSL_CTX_new(TLS_client_method())) {
    if (!context_) throw std::runtime_error("SSL_CTX_new failed");
    if (SSL_CTX_load_verify_locations(context_.get(), ca_path.c_str(), nullptr) != 1)
        throw std::runtime_error("no CA certificate in " + ca_path);
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
    SSL_CTX_set_mode(context_.get(),
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context_.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context_.get(), &on_new_session);
}

ssl_ptr tls_client::make(int fd, const std::string& host, const tls_credentials* credentials) const {
    ssl_ptr ssl(SSL_new(context_.get()));
    if (!ssl || SSL_set_fd(ssl.get(), fd) != 1) return nullptr;
    if (is_address(host)) {
        if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), host.c_str()) != 1) return nullptr;
    } else if (SSL_set1_host(ssl.get(), host.c_str()) != 1 || SSL_set_tlsext_host_name(ssl.get(), host.c_str()) != 1) {
        return nullptr;
    }
    if (credentials != nullptr) {
        if (SSL_use_certificate(ssl.get(), credentials->certificate.get()) != 1 ||
            SSL_use_PrivateKey(ssl.get(), credentials->key.get()) != 1)
            return nullptr;
        for (const auto& issuer : credentials->chain) SSL_add1_chain_cert(ssl.get(), issuer.get());
    }
    SSL_set_connect_state(ssl.get());
    return ssl;
}

void tls_client::keep_session_in(SSL* ssl, ssl_session_ptr* place) { SSL_set_ex_data(ssl, session_slot(), place); }

} // namespace fb::fleet
