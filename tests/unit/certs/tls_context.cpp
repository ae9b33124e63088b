// What the operator reads when TLS files are wrong, and what the context offers when they are right.
#include "certs/tls_context.hpp"

#include <algorithm>

#include <openssl/pem.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "certs/error.hpp"
#include "certs/pem_files.hpp"
#include "mentions.hpp"
#include "tls_peers.hpp"

using namespace fb::certs;
using namespace fb::tests;

namespace {

std::string complaint(const tls_settings& settings) {
    try {
        tls_context context(settings);
    } catch (const failure& error) {
        return error.what();
    }
    return "none";
}

/// What an unprivileged process says about `settings` (root reads everything).
std::string complaint_of_nobody(const tls_settings& settings) {
    int fds[2];
    REQUIRE(::pipe(fds) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const bool dropped = ::geteuid() != 0 || ::setuid(65534) == 0;
        const std::string text = dropped ? complaint(settings) : "setuid failed";
        _exit(::write(fds[1], text.data(), text.size()) < 0);
    }
    ::close(fds[1]);
    char text[1024];
    const auto size = ::read(fds[0], text, sizeof text);
    ::close(fds[0]);
    ::waitpid(child, nullptr, 0);
    return {text, static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
}

} // namespace

TEST_CASE("good files make a context") {
    test_authority authority;
    CHECK(complaint(authority.settings()) == "none");
    CHECK(complaint(authority.settings(client_certificates::required)) == "none");
}

TEST_CASE("a missing file is named") {
    test_authority authority;
    for (const auto field : {&tls_settings::certificate, &tls_settings::key}) {
        auto settings = authority.settings();
        settings.*field = authority.file("missing.pem");
        CHECK(mentions(complaint(settings), "missing.pem: cannot read: No such file"));
    }
    auto settings = authority.settings(client_certificates::optional);
    settings.client_ca = authority.file("missing.pem");
    CHECK(mentions(complaint(settings), "missing.pem: cannot read: No such file"));
}

TEST_CASE("a file that is no PEM is named") {
    test_authority authority;
    put_file(authority.file("garbage"), "nothing of interest\n");
    auto settings = authority.settings(client_certificates::required);
    settings.certificate = authority.file("garbage");
    CHECK(mentions(complaint(settings), "garbage: holds no PEM certificate"));
    settings = authority.settings(client_certificates::required);
    settings.client_ca = authority.file("garbage");
    CHECK(mentions(complaint(settings), "garbage: holds no PEM certificate"));
    settings = authority.settings();
    settings.key = authority.file("garbage");
    CHECK(mentions(complaint(settings), "garbage: holds no PEM private key"));
    settings.key = authority.path();
    CHECK(mentions(complaint(settings), "holds no PEM private key"));
}

TEST_CASE("a damaged certificate behind a good one is not passed over") {
    test_authority authority;
    const std::string damaged = "-----BEGIN CERTIFICATE-----\nTm8gREVSIGhlcmU=\n-----END CERTIFICATE-----\n";
    put_file(authority.file("chain.crt"), file_text(authority.file("server.crt")) + damaged);
    auto settings = authority.settings();
    settings.certificate = authority.file("chain.crt");
    CHECK(mentions(complaint(settings), "chain.crt: a certificate in it is damaged"));
}

TEST_CASE("a key that belongs to another certificate is named") {
    test_authority authority;
    auto settings = authority.settings();
    settings.key = authority.file("dev-1.key");
    CHECK(mentions(complaint(settings), "dev-1.key: is not the key of"));
}

TEST_CASE("an encrypted key is refused without a prompt") {
    test_authority authority;
    const auto key = read_private_key(authority.file("server.key"));
    std::FILE* file = std::fopen(authority.file("locked.key").c_str(), "w");
    REQUIRE(file);
    PEM_write_PKCS8PrivateKey(file, key.get(), EVP_aes_128_cbc(), "secret", 6, nullptr, nullptr);
    std::fclose(file);
    auto settings = authority.settings();
    settings.key = authority.file("locked.key");
    CHECK(mentions(complaint(settings), "locked.key: is encrypted"));
}

TEST_CASE("an unreadable key says whose permission is missing") {
    test_authority authority;
    std::filesystem::permissions(authority.path(), std::filesystem::perms(0755));
    if (::geteuid() != 0) std::filesystem::permissions(authority.file("server.key"), std::filesystem::perms::none);
    const auto text = complaint_of_nobody(authority.settings());
    CHECK(mentions(text, "server.key: cannot read: Permission denied"));
    CHECK(mentions(text, "chmod"));
}

TEST_CASE("asking for client certificates without a CA file is a mistake") {
    test_authority authority;
    auto settings = authority.settings(client_certificates::required);
    settings.client_ca.reset();
    CHECK(mentions(complaint(settings), "no client CA file"));
}

TEST_CASE("the certificate request names the client CA, so that a client can choose") {
    test_authority authority;
    const tls_context context(authority.settings(client_certificates::optional));
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        tls_peers peers(context, {.version = version});
        REQUIRE(peers.shake_hands() == fb::net::tls_status::ok);
        const auto* names = SSL_get0_peer_CA_list(peers.client.get());
        REQUIRE(sk_X509_NAME_num(names) == 1);
        char* text = X509_NAME_oneline(sk_X509_NAME_value(names, 0), nullptr, 0);
        CHECK(std::string(text) == "/CN=Test CA");
        OPENSSL_free(text);
    }
}

TEST_CASE("certificates are judged by the clock floor while the clock is behind it") {
    test_authority authority;
    auto settings = authority.settings(client_certificates::required);
    settings.clock_floor = std::time(nullptr) + 400 * 86400;
    const tls_context context(settings);
    tls_peers peers(context, {.certificate = authority.file("dev-1.crt")});
    CHECK(peers.shake_hands() == fb::net::tls_status::failed);
    CHECK(mentions(peers.server.error_text(), "certificate has expired"));
}
