// Unix sockets and the PROXY protocol against a whole broker.
#include "running_broker.hpp"

#include <deque>
#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>

#include "broker/net/listen_socket.hpp"
#include "tests/support/scratch_dir.hpp"
#include "tests/support/test_certificates.hpp"

using namespace fb;
using namespace fb::test;
using namespace std::string_literals;
namespace fs = std::filesystem;

namespace {

std::string tcp4(const std::string& source) { return "PROXY TCP4 " + source + " 10.0.0.1 4711 1883\r\n"; }

} // namespace

TEST_CASE("over a Unix socket clients come home to their shards; its file goes when the broker stops") {
    for (const core::shard_id shards : std::initializer_list<core::shard_id>{1, 4}) {
        scratch_dir dir;
        const std::string path = (dir / "mqtt.sock").string();
        running_broker b({.shards = shards, .unix_path = path});
        CHECK(b.url == "unix://" + path);
        std::deque<peer> readers;
        for (core::shard_id s = 0; s < shards; ++s) {
            readers.emplace_back(path);
            REQUIRE(readers.back().connect(id_on(s, shards)));
            readers.back().subscribe("t");
        }
        readers.front().send(peer::publish("t", "hello"));
        for (peer& r : readers) CHECK(r.next().type == proto::packet_type::publish);
        CHECK(b.metric("fotabroker_connections_moved_total") == shards - 1);
        for (peer& r : readers) r.close();
        b.stop();
        CHECK_FALSE(fs::exists(path));
    }
}

TEST_CASE("connections over a Unix socket count for their user") {
    scratch_dir dir;
    const std::string path = (dir / "mqtt.sock").string();
    running_broker b({.limits = {.connections_per_address_max = 1}, .unix_path = path});
    peer first(path);
    REQUIRE(first.connect("one"));
    peer second(path);
    CHECK(second.closed());
    CHECK(b.metric("fotabroker_accept_per_address_total") == 1);
}

TEST_CASE("a Unix socket's file has the rights asked for, a stale one is replaced, anything else is left alone") {
    scratch_dir dir;
    const std::string path = (dir / "s").string();
    const auto bind = [&](unsigned mode) { return net::open_unix_listener(path, mode); };
    {
        const auto opened = bind(0606);
        struct stat made {};
        REQUIRE(::stat(path.c_str(), &made) == 0);
        CHECK((made.st_mode & 07777) == 0606);
        CHECK(net::peer_address(opened.fd).empty());
        CHECK_THROWS_WITH_AS(bind(0660), doctest::Contains("the socket is in use"), std::runtime_error);
        ::close(opened.fd);
        const auto again = bind(0660); // nobody answers on the old one
        ::close(again.fd);
    }
    CHECK_FALSE(fs::exists(path));
    std::ofstream(path) << "precious";
    CHECK_THROWS_WITH_AS(bind(0660), doctest::Contains("something is there that is no socket"), std::runtime_error);
    CHECK(fs::file_size(path) == 8);
    CHECK_THROWS_WITH_AS(net::open_unix_listener("/nonexistent/s", 0660), doctest::Contains("unix:///nonexistent/s"),
                         std::runtime_error);
    CHECK_THROWS_WITH_AS(net::open_unix_listener("/" + std::string(200, 'x'), 0660), doctest::Contains("107 bytes"),
                         std::runtime_error);
}

TEST_CASE("somebody else's socket at the same path outlives us") {
    scratch_dir dir;
    const std::string path = (dir / "s").string();
    auto ours = std::make_unique<net::unix_listener>(net::open_unix_listener(path, 0660));
    ::close(ours->fd);
    fs::rename(path, dir / "moved"); // so that the new one cannot get its inode
    const auto theirs = net::open_unix_listener(path, 0660);
    ours.reset();
    CHECK(fs::exists(path));
    ::close(theirs.fd);
}

TEST_CASE("with the PROXY protocol a client is who the header says, cut anywhere") {
    running_broker b({.shards = 4, .limits = {.connections_per_address_max = 1}, .proxy_protocol = true});
    peer first(b.port), second(b.port), other(b.port);
    for (const char byte : tcp4("192.0.2.7")) first.send({&byte, 1});
    REQUIRE(first.connect("one"));
    second.send(tcp4("192.0.2.7"));
    CHECK(second.closed());
    CHECK(b.metric("fotabroker_accept_per_address_total") == 1);
    const std::string v2 = "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\xC0\0\2\x08\x0A\0\0\x01\1\1\1\1"s;
    proto::connect p;
    p.client_id = "two";
    std::string packet;
    proto::encode(p, packet);
    other.send(v2 + packet); // in one go
    CHECK(other.next().type == proto::packet_type::connack);
}

TEST_CASE("LOCAL and UNKNOWN keep the proxy's own address") {
    running_broker b({.limits = {.connections_per_address_max = 1}, .proxy_protocol = true});
    peer local(b.port), unknown(b.port);
    local.send("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"s);
    REQUIRE(local.connect("local"));
    unknown.send("PROXY UNKNOWN\r\n");
    CHECK(unknown.closed());
    CHECK(b.metric("fotabroker_accept_per_address_total") == 1);
}

TEST_CASE("without a valid PROXY header nobody gets in, and nobody waits longer than for CONNECT") {
    running_broker b({.shards = 2, .limits = {.connect_timeout_s = 1}, .proxy_protocol = true});
    peer bare(b.port), wrong(b.port), half(b.port), silent(b.port);
    bare.say_connect("bare");
    CHECK(bare.closed());
    wrong.send("PROXY TCP4 1.2.3.4\r\n");
    CHECK(wrong.closed());
    CHECK(b.metric("fotabroker_proxy_refused_total") == 2);
    half.send("PROXY TCP4 1.2.3.4 ");
    CHECK(half.closed());
    CHECK(silent.closed());
}

TEST_CASE("a half PROXY header does not keep the shard busy") {
    running_broker b({.limits = {.connect_timeout_s = 3600}, .proxy_protocol = true});
    peer half(b.port), c(b.port);
    half.send("PROXY TCP4 ");
    c.send(tcp4("192.0.2.9"));
    REQUIRE(c.connect("c"));
    const auto turns = b.metric("fotabroker_turns_total");
    for (int i = 0; i < 50; ++i) {
        c.send(std::string("\xC0\0", 2));
        REQUIRE(c.next().type == proto::packet_type::pingresp);
    }
    CHECK(b.metric("fotabroker_turns_total") - turns < 200);
}

TEST_CASE("a PROXY header comes before TLS and before WebSocket, and TLS bytes behind it are not lost") {
    fb::tests::test_authority authority("dev-1");
    const auto tls = std::make_shared<certs::tls_context>(authority.settings(certs::client_certificates::none));
    for (const bool secure : {false, true}) {
        running_broker b({.shards = 4,
                          .tls = secure ? tls : nullptr,
                          .websocket = net::websocket_settings{},
                          .proxy_protocol = true});
        const std::unique_ptr<SSL_CTX, certs::ssl_ctx_free> context(SSL_CTX_new(TLS_client_method()));
        for (core::shard_id s = 0; s < 4; ++s) {
            peer c(b.port);
            c.send(tcp4("192.0.2.8"));
            if (secure) REQUIRE(c.secure(context.get()));
            REQUIRE(c.upgrade());
            c.say_connect(id_on(s, 4));
            CHECK(c.next().type == proto::packet_type::connack);
            CHECK(c.reason() == (secure ? 0x87 : 0)); // a listener with TLS admits nobody without a certificate
        }
    }
}
