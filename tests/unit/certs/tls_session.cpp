// TLS sessions at the two ends of a socket pair: who gets in, what is read and written, and what a ticket is worth.
#include "broker/net/tls/tls_session.hpp"

#include <doctest/doctest.h>

#include "certs/digest.hpp"
#include "certs/identity.hpp"
#include "certs/pem_files.hpp"
#include "certs/x509_build.hpp"
#include "mentions.hpp"
#include "tls_peers.hpp"

using namespace fb::certs;
using namespace fb::net;
using namespace fb::tests;

namespace {

constexpr int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

std::string identity_at(const tls_session& session) {
    const auto found = identity_of(session.peer_certificate());
    return found ? found->device_id : "nobody";
}

} // namespace

TEST_CASE("TLS 1.2 and 1.3 shake hands and carry bytes both ways") {
    test_authority authority;
    const tls_context context(authority.settings());
    for (const int version : versions) {
        tls_peers peers(context, {.version = version});
        REQUIRE(peers.shake_hands() == tls_status::ok);
        CHECK(std::string(peers.server.protocol()) == (version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2"));
        CHECK_FALSE(peers.server.resumed());
        CHECK(peers.server.peer_certificate() == nullptr);
        CHECK(peers.client_writes("ping") == 4);
        CHECK(peers.server_reads() == "ping");
        CHECK(peers.server_reads().empty());
        CHECK(peers.last.status == tls_status::want_read);
        CHECK(peers.server.write("pong").bytes == 4);
        CHECK(peers.client_reads() == "pong");
    }
}

TEST_CASE("TLS 1.1 is refused with a reason") {
    test_authority authority;
    const tls_context context(authority.settings());
    tls_peers peers(context, {.version = TLS1_1_VERSION});
    SSL_set_security_level(peers.client.get(), 0);
    SSL_set_cipher_list(peers.client.get(), "ALL:@SECLEVEL=0");
    CHECK(peers.shake_hands() == tls_status::failed);
    CHECK(mentions(peers.server.error_text(), "protocol"));
}

TEST_CASE("something that is not TLS is refused and nothing can be read after that") {
    test_authority authority;
    const tls_context context(authority.settings());
    tls_peers peers(context, {});
    const std::string_view request = "GET / HTTP/1.1\r\n\r\n";
    REQUIRE(::write(SSL_get_fd(peers.client.get()), request.data(), request.size()) > 0);
    CHECK(peers.server.handshake().status == tls_status::failed);
    CHECK(mentions(peers.server.error_text(), "http request"));
    CHECK(peers.server.handshake().status == tls_status::failed);
    CHECK(peers.server_reads().empty());
    CHECK(peers.last.status == tls_status::failed);
    CHECK(peers.server.write("x").status == tls_status::failed);
}

TEST_CASE("a peer that leaves during the handshake has closed the connection") {
    test_authority authority;
    const tls_context context(authority.settings());
    tls_peers peers(context, {});
    CHECK(peers.server.handshake().status == tls_status::want_read);
    peers.drop_client();
    CHECK(peers.server.handshake().status == tls_status::closed);
}

TEST_CASE("a device's certificate tells who it is") {
    test_authority authority;
    for (const auto clients : {client_certificates::optional, client_certificates::required}) {
        const tls_context context(authority.settings(clients));
        for (const int version : versions) {
            tls_peers peers(context, {.version = version, .certificate = authority.file("dev-1.crt")});
            REQUIRE(peers.shake_hands() == tls_status::ok);
            CHECK(identity_at(peers.server) == "dev-1");
        }
    }
}

TEST_CASE("of what a client sends only its own certificate is kept") {
    test_authority authority;
    const auto chain = authority.path() / "chain.crt";
    std::filesystem::copy_file(authority.file("dev-1.key"), authority.path() / "chain.key");
    std::ofstream(chain) << std::ifstream(authority.file("dev-1.crt")).rdbuf()
                         << std::ifstream(authority.file("ca.crt")).rdbuf();
    const tls_context context(authority.settings(client_certificates::required));
    for (const char* when : {"verified", "known"}) {
        CAPTURE(when);
        tls_peers peers(context, {.certificate = chain});
        REQUIRE(peers.shake_hands() == tls_status::ok);
        CHECK(identity_at(peers.server) == "dev-1");
        CHECK(sk_X509_num(SSL_get_peer_cert_chain(peers.raw_server)) == 0);
    }
}

TEST_CASE("a client without a certificate gets in only where it is optional") {
    test_authority authority;
    for (const int version : versions) {
        const tls_context optional(authority.settings(client_certificates::optional));
        tls_peers welcome(optional, {.version = version});
        CHECK(welcome.shake_hands() == tls_status::ok);
        CHECK(welcome.server.peer_certificate() == nullptr);
        const tls_context required(authority.settings(client_certificates::required));
        tls_peers refused(required, {.version = version});
        CHECK(refused.shake_hands() == tls_status::failed);
        CHECK(mentions(refused.server.error_text(), "peer did not return a certificate"));
    }
}

TEST_CASE("a certificate of a foreign CA is refused, even where certificates are optional") {
    test_authority authority, foreign;
    const tls_context context(authority.settings(client_certificates::optional));
    for (const int version : versions) {
        tls_peers peers(context, {.version = version, .certificate = foreign.file("dev-1.crt")});
        CHECK(peers.shake_hands() == tls_status::failed);
        CHECK(mentions(peers.server.error_text(), "certificate verify failed: "));
        CHECK(peers.server.peer_certificate() == nullptr);
    }
}

TEST_CASE("an intermediate CA in the client CA file admits its own devices without its root") {
    test_authority root, intermediate;
    init_authority(root.path(), "Root CA", {std::chrono::days(10), true});
    const auto root_certificate = std::move(read_certificates(root.file("ca.crt")).front());
    const auto certificate = std::move(read_certificates(intermediate.file("ca.crt")).front());
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(root_certificate.get()));
    X509_sign(certificate.get(), read_private_key(root.file("ca.key")).get(), EVP_sha256());
    write_pem(intermediate.file("ca.crt"), to_pem(certificate.get()), file_kind::certificate, true);
    intermediate.add_device("dev-1");
    root.add_device("dev-2");
    const tls_context context(intermediate.settings(client_certificates::required));
    tls_peers welcome(context, {.certificate = intermediate.file("dev-1.crt")});
    CHECK(welcome.shake_hands() == tls_status::ok);
    CHECK(identity_at(welcome.server) == "dev-1");
    tls_peers refused(context, {.certificate = root.file("dev-2.crt")});
    CHECK(refused.shake_hands() == tls_status::failed);
}

TEST_CASE("a chain longer than anybody needs is refused before it is verified") {
    test_authority authority;
    std::string chain = file_text(authority.file("dev-1.crt"));
    while (chain.size() < 64 * 1024) chain += file_text(authority.file("ca.crt"));
    put_file(authority.file("long.crt"), chain);
    std::filesystem::copy_file(authority.file("dev-1.key"), authority.file("long.key"));
    const tls_context context(authority.settings(client_certificates::required));
    tls_peers peers(context, {.certificate = authority.file("long.crt")});
    CHECK(peers.shake_hands() == tls_status::failed);
    CHECK(mentions(peers.server.error_text(), "excessive message size"));
}

TEST_CASE("an expired certificate is refused") {
    test_authority authority;
    const tls_context context(authority.settings(client_certificates::required));
    for (const int version : versions) {
        tls_peers peers(context, {.version = version, .certificate = authority.file("dev-1.crt")});
        peers.let_days_pass(366);
        CHECK(peers.shake_hands() == tls_status::failed);
        CHECK(peers.server.error_text() == "certificate verify failed: certificate has expired");
    }
}

TEST_CASE("a device that was here before gets in by its certificate until that has expired") {
    test_authority authority;
    const tls_context context(authority.settings(client_certificates::required));
    for (const int version : versions) {
        for (const int days : {0, 300}) {
            tls_peers peers(context, {.version = version, .certificate = authority.file("dev-1.crt")});
            peers.let_days_pass(days);
            CHECK(peers.shake_hands() == tls_status::ok);
            CHECK_FALSE(peers.server.resumed());
            CHECK(identity_at(peers.server) == "dev-1");
        }
        tls_peers late(context, {.version = version, .certificate = authority.file("dev-1.crt")});
        late.let_days_pass(366);
        CHECK(late.shake_hands() == tls_status::failed);
        CHECK(late.server.error_text() == "certificate verify failed: certificate has expired");
    }
}

TEST_CASE("a server's certificate does not make a device") {
    test_authority authority;
    const tls_context context(authority.settings(client_certificates::required));
    tls_peers peers(context, {.certificate = authority.file("server.crt")});
    CHECK(peers.shake_hands() == tls_status::failed);
    CHECK(mentions(peers.server.error_text(), "purpose"));
}

TEST_CASE("a certificate signed by a device makes no device") {
    test_authority authority;
    const auto issuer = read_certificates(authority.file("dev-1.crt"));
    const auto issuer_key = read_private_key(authority.file("dev-1.key"));
    const auto key = new_key();
    certificate_builder builder(key.get());
    builder.uri("urn:fotabroker:device:dev-2");
    builder.not_after(std::time(nullptr) + 86400);
    const auto forged = builder.sign_leaf(issuer.front().get(), issuer_key.get(), "clientAuth");
    write_pem(authority.file("forged.crt"), to_pem(forged.get()) + file_text(authority.file("dev-1.crt")),
              file_kind::certificate, false);
    write_private_key(authority.file("forged.key"), key.get(), false);
    const tls_context context(authority.settings(client_certificates::required));
    tls_peers peers(context, {.certificate = authority.file("forged.crt")});
    CHECK(peers.shake_hands() == tls_status::failed);
    CHECK(mentions(peers.server.error_text(), "certificate verify failed: "));
}

TEST_CASE("large transfers get through small socket buffers in both directions") {
    test_authority authority;
    const tls_context context(authority.settings());
    const std::string sent = random_bytes(1 << 20);
    for (const int version : versions) {
        tls_peers peers(context, {.version = version}, 4096);
        REQUIRE(peers.shake_hands() == tls_status::ok);
        std::string up, down;
        std::size_t up_sent = 0, down_sent = 0;
        bool wrote_late = false, read_late = false;
        for (int step = 0; step < 100000 && (up.size() < sent.size() || down.size() < sent.size()); ++step) {
            const auto result = peers.server.write(std::string_view(sent).substr(down_sent));
            wrote_late |= result.status == tls_status::want_write;
            down_sent += result.bytes;
            up_sent += up_sent < sent.size() ? peers.client_writes(std::string_view(sent).substr(up_sent)) : 0;
            down += peers.client_reads();
            up += peers.server_reads(1000);
            read_late |= peers.last.status == tls_status::want_read;
        }
        CHECK(up == sent);
        CHECK(down == sent);
        CHECK(wrote_late);
        CHECK(read_late);
    }
}

TEST_CASE("a write that had to wait may go on from a copy elsewhere") {
    test_authority authority;
    const tls_context context(authority.settings());
    tls_peers peers(context, {}, 4096);
    REQUIRE(peers.shake_hands() == tls_status::ok);
    const std::string sent = random_bytes(16000);
    std::string got;
    std::size_t done = 0;
    for (int step = 0; step < 1000 && got.size() < sent.size(); ++step) {
        if (done < sent.size()) done += peers.server.write(std::string(sent, done)).bytes;
        got += peers.client_reads();
    }
    CHECK(got == sent);
}

TEST_CASE("bytes that read-ahead took from the socket are seen as pending") {
    test_authority authority;
    const tls_context context(authority.settings());
    tls_peers peers(context, {});
    REQUIRE(peers.shake_hands() == tls_status::ok);
    peers.server_reads();
    CHECK_FALSE(peers.server.has_pending());
    peers.client_writes("first");
    peers.client_writes("second");
    CHECK(peers.server_reads(5) == "first");
    CHECK(SSL_pending(peers.raw_server) == 0);
    CHECK(peers.server.has_pending());
    CHECK(peers.server_reads(3) == "sec");
    CHECK(peers.server.has_pending());
    CHECK(peers.server_reads() == "ond");
    CHECK_FALSE(peers.server.has_pending());
}

TEST_CASE("close_notify ends reading on either side") {
    test_authority authority;
    const tls_context context(authority.settings());
    for (const int version : versions) {
        tls_peers peers(context, {.version = version});
        REQUIRE(peers.shake_hands() == tls_status::ok);
        peers.client_writes("last words");
        SSL_shutdown(peers.client.get());
        CHECK(peers.server_reads() == "last words");
        CHECK(peers.server_reads().empty());
        CHECK(peers.last.status == tls_status::closed);
        peers.server.shutdown();
        CHECK(peers.client_reads().empty());
        CHECK(SSL_get_shutdown(peers.client.get()) == (SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN));
    }
}

TEST_CASE("a connection that ends without close_notify is closed, not failed") {
    test_authority authority;
    const tls_context context(authority.settings());
    tls_peers peers(context, {});
    REQUIRE(peers.shake_hands() == tls_status::ok);
    peers.client_reads(); // tickets left unread would turn the end into a reset
    peers.drop_client();
    peers.server_reads();
    CHECK(peers.last.status == tls_status::closed);
    CHECK(peers.server.write("x").status == tls_status::closed);
    peers.server.shutdown();
}

TEST_CASE("a connection that is reset is closed, not failed") {
    test_authority authority;
    const tls_context context(authority.settings());
    tls_peers peers(context, {});
    REQUIRE(peers.shake_hands() == tls_status::ok);
    peers.server.write("never read");
    peers.drop_client();
    peers.server_reads();
    CHECK(peers.last.status == tls_status::closed);
}

TEST_CASE("an empty session answers its questions") {
    tls_session none;
    CHECK_FALSE(none);
    CHECK_FALSE(none.has_pending());
    CHECK_FALSE(none.resumed());
    CHECK(none.peer_certificate() == nullptr);
    none.shutdown();
}

TEST_CASE("a resumed connection still knows the device") {
    test_authority authority;
    const tls_context context(authority.settings(client_certificates::required));
    for (const int version : versions) {
        tls_peers first(context, {.version = version, .certificate = authority.file("dev-1.crt")});
        REQUIRE(first.shake_hands() == tls_status::ok);
        const auto session = first.client_session();
        tls_peers second(context, {.version = version, .resume = session.get()});
        REQUIRE(second.shake_hands() == tls_status::ok);
        CHECK(second.server.resumed());
        CHECK(identity_at(second.server) == "dev-1");
        CHECK(identity_of(second.server.peer_certificate())->fingerprint ==
              identity_of(first.server.peer_certificate())->fingerprint);
    }
}

TEST_CASE("a ticket does not outlive its certificate") {
    test_authority authority;
    const tls_context context(authority.settings(client_certificates::required));
    for (const int version : versions) {
        tls_peers first(context, {.version = version, .certificate = authority.file("dev-1.crt")});
        REQUIRE(first.shake_hands() == tls_status::ok);
        const auto session = first.client_session();
        tls_peers second(context, {.version = version, .resume = session.get()});
        second.let_days_pass(366);
        CHECK(second.shake_hands() == tls_status::failed);
        CHECK(mentions(second.server.error_text(), "peer did not return a certificate"));
    }
}

TEST_CASE("a device with a new certificate and an old ticket gets in with the new one") {
    test_authority authority;
    const tls_context context(authority.settings(client_certificates::required));
    for (const int version : versions) {
        authority.add_device("dev-1", 10);
        tls_peers first(context, {.version = version, .certificate = authority.file("dev-1.crt")});
        REQUIRE(first.shake_hands() == tls_status::ok);
        const auto session = first.client_session();
        authority.add_device("dev-1", 100);
        tls_peers second(context, {version, authority.file("dev-1.crt"), session.get()});
        second.let_days_pass(11);
        REQUIRE(second.shake_hands() == tls_status::ok);
        CHECK_FALSE(second.server.resumed());
        CHECK(identity_at(second.server) == "dev-1");
    }
}

TEST_CASE("the handshake itself refuses an expired certificate that came by ticket") {
    test_authority authority;
    const tls_context context(authority.settings(client_certificates::required));
    SSL_CTX_set_session_ticket_cb(context.native(), nullptr, nullptr, nullptr); // the first line of defence
    for (const int version : versions) {
        tls_peers first(context, {.version = version, .certificate = authority.file("dev-1.crt")});
        REQUIRE(first.shake_hands() == tls_status::ok);
        const auto session = first.client_session();
        tls_peers second(context, {.version = version, .resume = session.get()});
        second.let_days_pass(366);
        CHECK(second.shake_hands() == tls_status::failed);
        CHECK(mentions(second.server.error_text(), "expired since"));
        CHECK(second.server.peer_certificate() == nullptr);
        CHECK(second.server_reads().empty());
        CHECK(second.last.status == tls_status::failed);
    }
}

TEST_CASE("a ticket of one context is worth nothing at another") {
    test_authority authority, other;
    const tls_context context(authority.settings(client_certificates::required));
    const tls_context stricter(other.settings(client_certificates::required));
    for (const int version : versions) {
        tls_peers first(context, {.version = version, .certificate = authority.file("dev-1.crt")});
        REQUIRE(first.shake_hands() == tls_status::ok);
        const auto session = first.client_session();
        tls_peers second(stricter, {version, authority.file("dev-1.crt"), session.get()});
        CHECK(second.shake_hands() == tls_status::failed);
    }
}
