// TLS through the handshake pool: client certificates, resumption, failures, and peers that stall.
#include "running_broker.hpp"

#include <deque>

#include "tests/support/test_certificates.hpp"

using namespace fb;
using namespace fb::test;

namespace {

fb::tests::test_authority& authority() {
    static fb::tests::test_authority a("dev-1");
    return a;
}

std::shared_ptr<certs::tls_context> server_context() {
    return std::make_shared<certs::tls_context>(authority().settings(certs::client_certificates::required));
}

using client_context = std::unique_ptr<SSL_CTX, certs::ssl_ctx_free>;

client_context client(bool with_certificate = true) {
    client_context context(SSL_CTX_new(TLS_client_method()));
    if (with_certificate) {
        const auto crt = authority().file("dev-1.crt");
        auto key = crt;
        key.replace_extension(".key");
        REQUIRE(SSL_CTX_use_certificate_chain_file(context.get(), crt.c_str()) == 1);
        REQUIRE(SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) == 1);
    }
    return context;
}

} // namespace

TEST_CASE("a client certificate opens the door on whichever shard, and data flow both ways") {
    running_broker b({.shards = 2, .tls = server_context()});
    const auto context = client();
    peer reader(b.port), writer(b.port);
    REQUIRE(reader.secure(context.get()));
    REQUIRE(writer.secure(context.get()));
    const auto reader_id = id_on(0, 2, "dev-1/r");
    REQUIRE(reader.connect(reader_id));
    REQUIRE(writer.connect(id_on(1, 2, "dev-1/w")));
    reader.subscribe("device/dev-1/#");
    const std::string large(600'000, 'x');
    writer.send(peer::publish("device/dev-1/telemetry/x", large));
    REQUIRE(reader.next().type == proto::packet_type::publish);
    CHECK(reader.payload() == large);
    CHECK(b.metric("fotabroker_tls_handshakes_total") == 2);
}

TEST_CASE("a client without a certificate does not come in") {
    running_broker b({.tls = server_context()});
    const auto context = client(false);
    peer c(b.port);
    if (c.secure(context.get()))
        CHECK(SSL_read(c.tls(), std::string(10, ' ').data(), 10) <= 0); // TLS 1.3 learns of it late
    CHECK(eventually([&] { return b.metric("fotabroker_tls_failed_total") == 1; }));
}

TEST_CASE("sessions are resumed through the pool") {
    running_broker b({.shards = 2, .tls = server_context()});
    const auto context = client();
    SSL_SESSION* ticket = nullptr;
    {
        peer first(b.port);
        REQUIRE(first.secure(context.get()));
        REQUIRE(first.connect("dev-1"));
        ticket = SSL_get1_session(first.tls());
        SSL_shutdown(first.tls()); // without a goodbye OpenSSL would not use the ticket again
    }
    peer second(b.port);
    REQUIRE(second.secure(context.get(), ticket));
    SSL_SESSION_free(ticket);
    CHECK(SSL_session_reused(second.tls()) == 1);
    REQUIRE(second.connect("dev-1"));
    CHECK(b.metric("fotabroker_tls_resumed_total") == 1);
}

TEST_CASE("more clients than handshakes may run at once all come in and stay") {
    running_broker b({.tls = server_context(), .handshakes_max = 1});
    const auto context = client();
    std::deque<peer> clients;
    for (int i = 0; i < 12; ++i) clients.emplace_back(b.port);
    std::vector<std::thread> threads;
    std::atomic<int> in{0};
    for (std::size_t i = 0; i < clients.size(); ++i) {
        threads.emplace_back([&, i] { in += clients[i].secure(context.get()) ? 1 : 0; });
    }
    for (std::thread& t : threads) t.join();
    CHECK(in == 12);
    for (std::size_t i = 0; i < clients.size(); ++i) CHECK(clients[i].connect("dev-1/" + std::to_string(i)));
}

TEST_CASE("half a hello and plain bytes on a TLS port end, and shut nobody out") {
    running_broker b({.tls = server_context(), .limits = {.connect_timeout_s = 2}, .pending_max = 4});
    std::deque<peer> stalled;
    for (int i = 0; i < 10; ++i) {
        stalled.emplace_back(b.port);
        if (i % 2 == 0) stalled.back().send(std::string_view("\x16\x03\x01\x02\x00\x01\x00", 7));
    }
    const auto context = client();
    peer c(b.port);
    REQUIRE(c.secure(context.get()));
    CHECK(c.connect("dev-1"));
    peer plain(b.port);
    plain.say_connect("plain");
    CHECK(eventually([&] { return b.metric("fotabroker_tls_failed_total") > 0; }));
    CHECK(stalled.back().closed());
}

TEST_CASE("stopping ends while handshakes are under way") {
    running_broker b({.shards = 2, .tls = server_context()});
    std::deque<peer> stalled;
    for (int i = 0; i < 6; ++i) {
        stalled.emplace_back(b.port);
        stalled.back().send(std::string_view("\x16\x03\x01\x02\x00\x01\x00", 7));
    }
    const auto context = client();
    peer c(b.port);
    REQUIRE(c.secure(context.get()));
    REQUIRE(c.connect("dev-1"));
    std::thread stopping([&] { b.stop(); });
    CHECK(c.next().type == proto::packet_type::disconnect);
    CHECK(c.reason() == 0x8B);
    c.close();
    stopping.join();
}
