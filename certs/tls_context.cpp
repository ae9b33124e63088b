#include "certs/tls_context.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "certs/error.hpp"
#include "certs/peer_check.hpp"
#include "certs/pem_files.hpp"
#include "certs/verified_chains.hpp"

namespace fb::certs {

namespace {

constexpr int chain_depth_max = 4;          // intermediates between a device and its CA
constexpr long chain_bytes_max = 32 * 1024; // what a client may send before it is known
constexpr char session_context[] = "fotabroker";
constexpr std::size_t verified_chains_max = 16'384; // about 150 bytes each

/// Lives as long as the SSL_CTX, which sessions keep alive.
int chains_index() {
    static const int index = SSL_CTX_get_ex_new_index(
        0, nullptr, nullptr, nullptr,
        [](void*, void* held, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<verified_chains*>(held); });
    return index;
}

void set_protocol(SSL_CTX* context) {
    require(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1, "TLS 1.2");
    // A controller without AES hardware puts ChaCha20 first, and gets it.
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_RENEGOTIATION |
                                     SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    require(SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1, "TLS 1.2 ciphers");
    require(SSL_CTX_set1_groups_list(context, "X25519:P-256") == 1, "key exchange groups");
    SSL_CTX_set_mode(context,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
}

void set_certificate(SSL_CTX* context, const tls_settings& settings) {
    const auto chain = read_certificates(settings.certificate);
    const auto key = read_private_key(settings.key);
    if (SSL_CTX_use_certificate(context, chain.front().get()) != 1)
        throw failure(settings.certificate.string() + ": cannot be used: " + openssl_errors());
    for (std::size_t i = 1; i < chain.size(); ++i)
        require(SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1, "certificate chain");
    if (X509_check_private_key(chain.front().get(), key.get()) != 1)
        throw failure(settings.key.string() + ": is not the key of " + settings.certificate.string());
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1)
        throw failure(settings.key.string() + ": cannot be used: " + openssl_errors());
}

/// The issuers that a client sent have done their part; OpenSSL would keep them, decoded, as long as the connection.
void forget_issuers(X509_STORE_CTX* ctx) {
    STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(ctx);
    while (sk_X509_num(sent) > 1) X509_free(sk_X509_pop(sent));
}

int verify_client(X509_STORE_CTX* ctx, void* chains) {
    const int verdict = static_cast<verified_chains*>(chains)->verify(ctx);
    if (verdict == 1) forget_issuers(ctx);
    return verdict;
}

void set_client_verification(SSL_CTX* context, const tls_settings& settings) {
    if (!settings.client_ca) throw failure("client certificates are asked for, but no client CA file is configured");
    for (const auto& anchor : read_certificates(*settings.client_ca)) {
        require(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), anchor.get()) == 1, "client CA");
        require(SSL_CTX_add_client_CA(context, anchor.get()) == 1, "client CA");
    }
    require(SSL_CTX_set_purpose(context, X509_PURPOSE_SSL_CLIENT) == 1, "purpose of client certificates");
    SSL_CTX_set_verify_depth(context, chain_depth_max);
    SSL_CTX_set_max_cert_list(context, chain_bytes_max);
    auto chains = std::make_unique<verified_chains>(verified_chains_max);
    require(SSL_CTX_set_ex_data(context, chains_index(), chains.get()) == 1, "verified chains");
    SSL_CTX_set_cert_verify_callback(context, verify_client, chains.release());
    // A chain ends at a certificate of the file, so an intermediate in it admits its own devices and no others.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_verify(context,
                       settings.clients == client_certificates::required
                           ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                           : SSL_VERIFY_PEER,
                       nullptr);
}

SSL_TICKET_RETURN on_ticket(SSL* ssl, SSL_SESSION* session, const unsigned char*, std::size_t, SSL_TICKET_STATUS status,
                            void*) {
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW) return SSL_TICKET_RETURN_IGNORE_RENEW;
    X509* peer = SSL_SESSION_get0_peer(session);
    if (peer && outside_validity(peer, verification_time(ssl))) return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

void set_resumption(SSL_CTX* context) {
    // Without an id context a client that offers a ticket is refused as soon as certificates are verified.
    require(SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>(session_context),
                                           sizeof session_context - 1) == 1,
            "session id context");
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);          // tickets keep the state at the client
    require(SSL_CTX_set_num_tickets(context, 1) == 1, "session tickets"); // a device has one connection to resume
    require(SSL_CTX_set_session_ticket_cb(context, nullptr, on_ticket, nullptr) == 1, "session tickets");
}

} // namespace

void ssl_ctx_free::operator()(SSL_CTX* ctx) const noexcept { SSL_CTX_free(ctx); }

void ssl_free::operator()(SSL* ssl) const noexcept { SSL_free(ssl); }

tls_context::tls_context(const tls_settings& settings)
    : context_(SSL_CTX_new(TLS_server_method()))
    , clock_floor_(settings.clock_floor) {
    ERR_clear_error();
    require(context_ != nullptr, "TLS");
    set_protocol(context_.get());
    set_certificate(context_.get(), settings);
    if (settings.clients != client_certificates::none) set_client_verification(context_.get(), settings);
    set_resumption(context_.get());
}

ssl_ptr tls_context::new_session(int fd) const {
    ssl_ptr ssl(SSL_new(context_.get()));
    if (!ssl || SSL_set_fd(ssl.get(), fd) != 1) return nullptr;
    SSL_set_accept_state(ssl.get());
    if (std::time(nullptr) < clock_floor_) X509_VERIFY_PARAM_set_time(SSL_get0_param(ssl.get()), clock_floor_);
    return ssl;
}

bool readable_by_others(const std::filesystem::path& key) noexcept {
    namespace fs = std::filesystem;
    std::error_code error;
    const auto mode = fs::status(key, error).permissions();
    return !error && (mode & (fs::perms::group_read | fs::perms::others_read)) != fs::perms::none;
}

} // namespace fb::certs
