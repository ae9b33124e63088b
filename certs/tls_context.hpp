// An SSL_CTX for a listener, built once at start and shared by all its connections (any thread may create sessions).
//
// TLS 1.2 and 1.3, server preference, read-ahead, SSL_MODE_RELEASE_BUFFERS | ENABLE_PARTIAL_WRITE |
// ACCEPT_MOVING_WRITE_BUFFER, session id context set, tickets on for resumption (no server-side cache). A ticket whose
// client certificate has expired is ignored: the client gets a full handshake, where a renewed one is asked for. A
// client chain is verified once (verified_chains.hpp).
#pragma once

#include <ctime>
#include <filesystem>
#include <memory>
#include <optional>

typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_st SSL;

namespace fb::certs {

enum class client_certificates { none, optional, required };

struct tls_settings {
    std::filesystem::path certificate;              // PEM, leaf first, then intermediates
    std::filesystem::path key;                      // PEM
    std::optional<std::filesystem::path> client_ca; // PEM bundle; needed unless client_certificates::none
    client_certificates clients = client_certificates::none;
    std::time_t clock_floor = 0; // certificates are judged by this time while the clock says an earlier one
};

struct ssl_ctx_free {
    void operator()(SSL_CTX* ctx) const noexcept;
};
struct ssl_free {
    void operator()(SSL* ssl) const noexcept;
};
using ssl_ptr = std::unique_ptr<SSL, ssl_free>;

class tls_context {
  public:
    /// Throws failure: file missing or unreadable, not PEM, key does not fit the certificate, CA bundle empty. The text
    /// names the file.
    explicit tls_context(const tls_settings& settings);

    /// A server-side session for an accepted, non-blocking descriptor. Null only when memory is out.
    ssl_ptr new_session(int fd) const;
    SSL_CTX* native() const noexcept { return context_.get(); }

  private:
    std::unique_ptr<SSL_CTX, ssl_ctx_free> context_;
    std::time_t clock_floor_;
};

/// Worth a warning at start: the group or everybody may read this private key.
bool readable_by_others(const std::filesystem::path& key) noexcept;

} // namespace fb::certs
