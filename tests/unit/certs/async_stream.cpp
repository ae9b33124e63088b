// The stream under Beast over loopback, with and without TLS. One thread: client and server are streams, or a blocking
// OpenSSL client in a thread of its own where the peer must be somebody else's code.
#include "broker/net/tls/async_tls_stream.hpp"

#include <array>
#include <thread>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <doctest/doctest.h>
#include <openssl/ssl.h>

#include "certs/digest.hpp"
#include "certs/identity.hpp"
#include "tests/support/test_certificates.hpp"

namespace asio = boost::asio;
namespace http = boost::beast::http;
using namespace fb::certs;
using namespace fb::net;
using namespace fb::tests;
using asio::ip::tcp;
using error_code = boost::system::error_code;

namespace {

using acceptor_type = asio::basic_socket_acceptor<tcp, asio::io_context::executor_type>;

/// Two connected sockets; the second one stays blocking.
struct loopback {
    asio::io_context io{1};
    async_stream::socket_type near{io};
    async_stream::socket_type far{io};

    loopback() {
        acceptor_type acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
        far.connect(acceptor.local_endpoint());
        near = acceptor.accept();
    }
};

/// Answers one GET with `body`, echoing the target in a header, then says goodbye.
class one_answer {
  public:
    one_answer(async_stream stream, std::string body)
        : stream_(std::move(stream)) {
        response_.body() = std::move(body);
    }

    void start() {
        stream_.async_handshake([this](error_code error) {
            finished = error;
            if (!error) read();
        });
    }
    async_stream& stream() { return stream_; }

    error_code finished;

  private:
    void read() {
        http::async_read(stream_, buffer_, request_, [this](error_code error, std::size_t) {
            finished = error;
            if (!error) write();
        });
    }
    void write() {
        response_.set("X-Target", request_.target());
        response_.prepare_payload();
        http::async_write(stream_, response_, [this](error_code error, std::size_t) {
            finished = error;
            stream_.async_shutdown([this](error_code) { stream_.close(); });
        });
    }

    async_stream stream_;
    boost::beast::flat_buffer buffer_;
    http::request<http::string_body> request_;
    http::response<http::string_body> response_;
};

constexpr std::string_view get_request = "GET /firmware HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A blocking client of OpenSSL's own: one request, then everything up to the end.
std::string fetch_by_tls(int fd, const test_authority& authority) {
    std::unique_ptr<SSL_CTX, ssl_ctx_free> context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_load_verify_file(context.get(), authority.file("ca.crt").c_str());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_use_certificate_file(context.get(), authority.file("dev-1.crt").c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context.get(), authority.file("dev-1.key").c_str(), SSL_FILETYPE_PEM);
    ssl_ptr ssl(SSL_new(context.get()));
    SSL_set_fd(ssl.get(), fd);
    SSL_set1_host(ssl.get(), "localhost");
    if (SSL_connect(ssl.get()) != 1) return "no handshake";
    SSL_write(ssl.get(), get_request.data(), static_cast<int>(get_request.size()));
    std::string all;
    char bytes[4096];
    int size = 0;
    while ((size = SSL_read(ssl.get(), bytes, sizeof bytes)) > 0) all.append(bytes, static_cast<std::size_t>(size));
    return SSL_get_error(ssl.get(), size) == SSL_ERROR_ZERO_RETURN ? all : "no close_notify";
}

std::string body_of(const std::string& response) {
    const auto end = response.find("\r\n\r\n");
    return end == response.npos ? "" : response.substr(end + 4);
}

/// Runs what is ready or becomes ready; a stream that hangs is stopped so that the test fails instead.
void run(asio::io_context& io) {
    io.restart();
    io.run_for(std::chrono::seconds(60));
}

} // namespace

TEST_CASE("Beast answers a GET over TLS, with a body of many records and a device that is known") {
    test_authority authority;
    const tls_context context(authority.settings(client_certificates::required));
    loopback net;
    const std::string body = random_bytes(3 << 20);
    one_answer server(async_stream(std::move(net.near), context), body);
    std::string response;
    std::thread client([&] {
        response = fetch_by_tls(net.far.native_handle(), authority);
        net.far.close();
    });
    server.start();
    run(net.io);
    server.stream().close();
    client.join();
    CHECK_FALSE(server.finished);
    CHECK(response.starts_with("HTTP/1.1 200 OK"));
    CHECK(response.find("X-Target: /firmware\r\n") != response.npos);
    CHECK(body_of(response) == body);
    CHECK(server.stream().secure());
    CHECK(identity_of(server.stream().tls().peer_certificate())->device_id == "dev-1");
}

TEST_CASE("Beast answers a GET over plain TCP") {
    loopback net;
    const std::string body = random_bytes(3 << 20);
    one_answer server(async_stream(std::move(net.near)), body);
    std::string response;
    std::thread client([&] {
        asio::write(net.far, asio::buffer(get_request));
        error_code error;
        asio::read(net.far, asio::dynamic_buffer(response), error);
        net.far.close();
    });
    server.start();
    run(net.io);
    server.stream().close();
    client.join();
    CHECK_FALSE(server.finished);
    CHECK(body_of(response) == body);
    CHECK_FALSE(server.stream().secure());
}

TEST_CASE("a plain request to a TLS stream fails with a reason") {
    test_authority authority;
    const tls_context context(authority.settings());
    loopback net;
    one_answer server(async_stream(std::move(net.near), context), "secret");
    asio::write(net.far, asio::buffer(get_request));
    server.start();
    run(net.io);
    CHECK(server.finished == boost::system::errc::protocol_error);
    CHECK(server.stream().error_text().find("http request") != std::string::npos);
}

TEST_CASE("no completion handler runs inside the call that began the operation") {
    loopback net;
    async_stream stream(std::move(net.near));
    asio::write(net.far, asio::buffer("x", 1));
    int completed = 0;
    char byte = 0;
    stream.async_read_some(asio::buffer(&byte, 1), [&](error_code error, std::size_t bytes) {
        CHECK_FALSE(error);
        CHECK(bytes == 1);
        ++completed;
    });
    stream.async_write_some(asio::buffer("y", 1), [&](error_code, std::size_t) { ++completed; });
    CHECK(completed == 0);
    run(net.io);
    CHECK(completed == 2);
    CHECK(byte == 'x');
}

TEST_CASE("empty buffers complete with nothing read and nothing written") {
    loopback net;
    async_stream stream(std::move(net.near));
    int completed = 0;
    const auto expect_nothing = [&](error_code error, std::size_t bytes) {
        CHECK_FALSE(error);
        CHECK(bytes == 0);
        ++completed;
    };
    stream.async_read_some(asio::mutable_buffer(), expect_nothing);
    stream.async_write_some(std::array<asio::const_buffer, 2>(), expect_nothing);
    run(net.io);
    CHECK(completed == 2);
}

TEST_CASE("small buffers leave together, a long one from where it lies, and none is lost") {
    loopback net;
    async_stream stream(std::move(net.near));
    const std::string small = "header", more = "more", long_one = random_bytes(5000), huge = random_bytes(40000);
    const auto written = [&](std::vector<asio::const_buffer> buffers) {
        std::size_t result = 0;
        stream.async_write_some(buffers, [&](error_code, std::size_t bytes) { result = bytes; });
        run(net.io);
        std::string got(result, '\0');
        asio::read(net.far, asio::buffer(got));
        return got;
    };
    CHECK(written({{}, asio::buffer(small), {}, asio::buffer(more)}) == small + more);
    CHECK(written({asio::buffer(small), asio::buffer(long_one)}) == small + long_one);
    CHECK(written({asio::buffer(long_one), asio::buffer(small)}) == long_one);
    CHECK(written({asio::buffer(small), asio::buffer(huge)}) == (small + huge).substr(0, 16 * 1024));
}

TEST_CASE("the peer's end of data is eof") {
    loopback net;
    async_stream stream(std::move(net.near));
    net.far.close();
    error_code result;
    char byte = 0;
    stream.async_read_some(asio::buffer(&byte, 1), [&](error_code error, std::size_t) { result = error; });
    run(net.io);
    CHECK(result == asio::error::eof);
}

TEST_CASE("close() ends what is outstanding, and later operations too") {
    test_authority authority;
    const tls_context context(authority.settings());
    for (const bool secure : {false, true}) {
        loopback net;
        async_stream stream = secure ? async_stream(std::move(net.near), context) : async_stream(std::move(net.near));
        std::vector<error_code> results;
        const auto note = [&](error_code error, std::size_t = 0) { results.push_back(error); };
        char byte = 0;
        if (secure)
            stream.async_handshake(note);
        else
            stream.async_read_some(asio::buffer(&byte, 1), note);
        net.io.poll();
        CHECK(results.empty());
        stream.close();
        run(net.io);
        stream.async_read_some(asio::buffer(&byte, 1), note);
        stream.async_write_some(asio::buffer(&byte, 1), note);
        stream.async_handshake(note);
        stream.async_shutdown(note);
        run(net.io);
        CHECK(results == std::vector<error_code>(5, asio::error::operation_aborted));
    }
}

TEST_CASE("a goodbye waits for the peer's and reads away what still comes") {
    loopback net;
    async_stream stream(std::move(net.near));
    bool over = false;
    stream.async_shutdown([&](error_code error) {
        CHECK_FALSE(error);
        over = true;
    });
    net.io.poll();
    CHECK_FALSE(over);
    char byte = 0;
    error_code error;
    asio::read(net.far, asio::buffer(&byte, 1), error);
    CHECK(error == asio::error::eof);
    asio::write(net.far, asio::buffer("too late"));
    net.io.poll();
    CHECK_FALSE(over);
    net.far.close();
    run(net.io);
    CHECK(over);
}

TEST_CASE("a peer that never stops sending does not hold up a goodbye for ever") {
    loopback net;
    async_stream stream(std::move(net.near));
    net.far.non_blocking(true);
    bool over = false;
    stream.async_shutdown([&](error_code) { over = true; });
    const std::string flood(64 * 1024, 'x');
    for (int i = 0; i < 10000 && !over; ++i) {
        error_code ignored;
        net.far.write_some(asio::buffer(flood), ignored);
        net.io.restart();
        net.io.poll();
    }
    CHECK(over);
}
