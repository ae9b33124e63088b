// A chain that was verified is taken as good while it is valid, and nothing else is.
#include "certs/verified_chains.hpp"

#include <doctest/doctest.h>
#include <openssl/x509_vfy.h>

#include "read_x509.hpp"
#include "tests/support/test_certificates.hpp"

using namespace fb::certs;
using namespace fb::tests;

namespace {

struct store_free {
    void operator()(X509_STORE* s) const { X509_STORE_free(s); }
    void operator()(X509_STORE_CTX* c) const { X509_STORE_CTX_free(c); }
};
using store_ptr = std::unique_ptr<X509_STORE, store_free>;

store_ptr trusting(const std::vector<std::filesystem::path>& anchors) {
    store_ptr s(X509_STORE_new());
    for (const auto& file : anchors) REQUIRE(X509_STORE_add_cert(s.get(), read_one(file).get()) == 1);
    return s;
}

/// The verdict on `leaf`, sent with `also`, that many days from now; negative: OpenSSL's error.
int verdict(verified_chains& chains, const store_ptr& store, X509* leaf, int days = 0, X509* also = nullptr) {
    const std::unique_ptr<X509_STORE_CTX, store_free> ctx(X509_STORE_CTX_new());
    STACK_OF(X509)* sent = sk_X509_new_null();
    sk_X509_push(sent, leaf);
    if (also != nullptr) sk_X509_push(sent, also);
    REQUIRE(X509_STORE_CTX_init(ctx.get(), store.get(), leaf, sent) == 1);
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx.get()), std::time(nullptr) + days * 86'400);
    const int good = chains.verify(ctx.get());
    const int error = X509_STORE_CTX_get_error(ctx.get());
    sk_X509_free(sent);
    CHECK((good == 1) == (error == X509_V_OK));
    return good == 1 ? 1 : -error;
}

} // namespace

TEST_CASE("a chain is verified once, and remembered by all that the client sent") {
    test_authority authority;
    authority.add_device("dev-2");
    const auto leaf = read_one(authority.file("dev-1.crt"));
    const auto other = read_one(authority.file("dev-2.crt"));
    const auto trusted = trusting({authority.file("ca.crt")});
    const auto nobody = trusting({}); // whoever is good here was remembered
    verified_chains chains(10);
    CHECK(verdict(chains, nobody, leaf.get()) < 0);
    CHECK(chains.size() == 0);
    CHECK(verdict(chains, trusted, leaf.get()) == 1);
    CHECK(chains.size() == 1);
    CHECK(verdict(chains, nobody, leaf.get()) == 1);
    CHECK(verdict(chains, nobody, other.get()) < 0);
    CHECK(verdict(chains, nobody, leaf.get(), 0, other.get()) < 0);
}

TEST_CASE("what was verified is verified again when it is not valid any more") {
    test_authority authority;
    authority.add_device("dev-2", 10);
    const auto leaf = read_one(authority.file("dev-2.crt"));
    const auto trusted = trusting({authority.file("ca.crt")});
    verified_chains chains(10);
    CHECK(verdict(chains, trusted, leaf.get()) == 1);
    CHECK(verdict(chains, trusted, leaf.get(), 9) == 1);
    CHECK(verdict(chains, trusted, leaf.get(), 11) == -X509_V_ERR_CERT_HAS_EXPIRED);
    CHECK(verdict(chains, trusting({}), leaf.get(), 9) == 1);
    CHECK(verdict(chains, trusting({}), leaf.get(), 11) < 0);
}

TEST_CASE("a full memory starts anew") {
    test_authority authority;
    const auto trusted = trusting({authority.file("ca.crt")});
    verified_chains chains(2);
    for (int i = 1; i <= 3; ++i) {
        const std::string id = "more-" + std::to_string(i);
        authority.add_device(id);
        CHECK(verdict(chains, trusted, read_one(authority.file(id + ".crt")).get()) == 1);
        CHECK(chains.size() == (i == 3 ? 1u : static_cast<unsigned>(i)));
    }
}
