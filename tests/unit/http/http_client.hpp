// A raw HTTP client for tests: what is sent is exactly what the test wrote. Blocking, over TCP or TLS; a wait for bytes
// gives up after 20 s, so that a server that says nothing fails a test and does not hang it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;

namespace fb::test {

struct http_answer {
    int status = 0;                             // 0: the connection ended before an answer
    std::map<std::string, std::string> headers; // lower-case names
    std::string body;

    std::string header(const std::string& name) const;
    /// "reason" of a problem; fails the test when this is no problem+json.
    std::string problem() const;
};

struct tls_files {
    std::string ca, certificate, key; // empty: no client certificate
};

class http_client {
  public:
    explicit http_client(std::uint16_t port, std::optional<tls_files> tls = std::nullopt);
    ~http_client();
    http_client(const http_client&) = delete;
    http_client& operator=(const http_client&) = delete;

    /// False: the peer has closed.
    bool send(std::string_view bytes);
    /// One answer, its body by Content-Length, or to the end without one. `head`: an answer to HEAD has no body.
    http_answer receive(bool head = false);
    /// Everything up to and including `end`, or to the end of the connection.
    std::string receive_until(std::string_view end);
    /// The peer has closed and everything was read.
    bool at_end();
    void close();

  private:
    bool read_more();

    int fd_ = -1;
    SSL_CTX* context_ = nullptr;
    SSL* ssl_ = nullptr;
    std::string buffer_;
};

/// A request's text. Host and, when `body` is there, Content-Length are added.
struct http_request {
    std::string method = "GET";
    std::string target = "/";
    std::map<std::string, std::string> headers{};
    std::optional<std::string> body{};

    std::string text() const;
};

} // namespace fb::test
