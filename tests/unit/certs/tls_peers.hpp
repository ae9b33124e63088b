// A server session of ours and an OpenSSL client at the two ends of a socket pair, stepped in turn by the test.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/net/tls/tls_session.hpp"
#include "tests/support/test_certificates.hpp"

namespace fb::tests {

struct session_free {
    void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using session_ptr = std::unique_ptr<SSL_SESSION, session_free>;

struct client_options {
    int version = TLS1_3_VERSION;
    std::optional<std::filesystem::path> certificate{}; // with the key beside it
    SSL_SESSION* resume = nullptr;
};

class tls_peers {
  public:
    tls_peers(const certs::tls_context& context, const client_options& options, int buffer_bytes = 0) {
        ::signal(SIGPIPE, SIG_IGN);
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds_) != 0)
            throw std::runtime_error("socketpair");
        for (const int fd : fds_)
            if (buffer_bytes) ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
        auto session = context.new_session(fds_[0]);
        raw_server = session.get();
        server = net::tls_session(std::move(session));
        connect(options);
    }
    ~tls_peers() {
        client.reset();
        server = {};
        ::close(fds_[0]);
        drop_client();
    }
    tls_peers(const tls_peers&) = delete;
    tls_peers& operator=(const tls_peers&) = delete;

    /// Both sides in turn until the server is done, whichever way.
    net::tls_status shake_hands() {
        net::tls_status status = net::tls_status::want_read;
        for (int step = 0; step < 20 && wants_more(status); ++step) {
            SSL_do_handshake(client.get());
            status = server.handshake().status;
        }
        SSL_do_handshake(client.get());
        ERR_clear_error();
        return status;
    }
    /// What the client reads now, or "" when there is nothing.
    std::string client_reads() {
        char bytes[32 * 1024];
        std::size_t size = 0;
        const bool ok = SSL_read_ex(client.get(), bytes, sizeof bytes, &size) == 1;
        return ok ? std::string(bytes, size) : "";
    }
    std::size_t client_writes(std::string_view bytes) {
        std::size_t size = 0;
        return SSL_write_ex(client.get(), bytes.data(), bytes.size(), &size) == 1 ? size : 0;
    }
    std::string server_reads(std::size_t at_most = 32 * 1024) {
        std::string bytes(at_most, '\0');
        last = server.read(bytes);
        bytes.resize(last.bytes);
        return bytes;
    }
    /// The client's session, with the ticket that came after the handshake.
    session_ptr client_session() {
        server.write("x");
        client_reads();
        return session_ptr(SSL_get1_session(client.get()));
    }
    /// The server judges certificates as of `days` from now.
    void let_days_pass(int days) {
        X509_VERIFY_PARAM_set_time(SSL_get0_param(raw_server), std::time(nullptr) + days * 86400);
    }
    void drop_client() {
        if (fds_[1] >= 0) ::close(fds_[1]);
        fds_[1] = -1;
    }
    static bool wants_more(net::tls_status status) {
        return status == net::tls_status::want_read || status == net::tls_status::want_write;
    }

    SSL* raw_server = nullptr; // what `server` owns
    net::tls_session server;
    certs::ssl_ptr client;
    net::tls_result last;

  private:
    void connect(const client_options& options) {
        std::unique_ptr<SSL_CTX, certs::ssl_ctx_free> context(SSL_CTX_new(TLS_client_method()));
        SSL_CTX_set_min_proto_version(context.get(), options.version);
        SSL_CTX_set_max_proto_version(context.get(), options.version);
        SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        if (options.certificate) {
            auto key = *options.certificate;
            key.replace_extension(".key");
            SSL_CTX_use_certificate_chain_file(context.get(), options.certificate->c_str());
            SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM);
        }
        client.reset(SSL_new(context.get()));
        SSL_set_fd(client.get(), fds_[1]);
        SSL_set_connect_state(client.get());
        if (options.resume) SSL_set_session(client.get(), options.resume);
    }

    int fds_[2] = {-1, -1};
};

} // namespace fb::tests
