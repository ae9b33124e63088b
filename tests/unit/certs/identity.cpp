// Who a certificate says the peer is, for certificates that a hostile or careless CA might sign.
#include "certs/identity.hpp"

#include <doctest/doctest.h>

#include "read_x509.hpp"

using namespace fb::certs;
using fb::tests::odd_certificate;

namespace {

const std::string prefix = "urn:fotabroker:device:";

std::string id_of(odd_certificate& certificate) {
    const auto found = identity_of(certificate.get());
    return found ? found->device_id : "nobody";
}

} // namespace

TEST_CASE("a device id is 1 to 128 harmless characters") {
    CHECK(valid_device_id("a"));
    CHECK(valid_device_id("Pump_7.site-3:AA:bb"));
    CHECK(valid_device_id(std::string(128, 'x')));
    CHECK_FALSE(valid_device_id(""));
    CHECK_FALSE(valid_device_id(std::string(129, 'x')));
    for (const char* bad : {"a/b", "+", "#", "$SYS", "a b", "a\n", "caf\xc3\xa9", "a*", "a\\b", "a%2f", "a\"b"})
        CHECK_FALSE(valid_device_id(bad));
    CHECK_FALSE(valid_device_id(std::string_view("a\0b", 3)));
}

TEST_CASE("no certificate is nobody") { CHECK_FALSE(identity_of(nullptr)); }

TEST_CASE("the common name is the device") { CHECK(id_of(odd_certificate().name("dev-1")) == "dev-1"); }

TEST_CASE("the SAN URI wins over the common name") {
    CHECK(id_of(odd_certificate().name("dev-1").uri(prefix + "dev-2")) == "dev-2");
    CHECK(id_of(odd_certificate().name("dev-1").uri("https://example.com/").san(GEN_DNS, "host")) == "dev-1");
}

TEST_CASE("a SAN URI that names no valid device does not fall back to the common name") {
    CHECK(id_of(odd_certificate().name("dev-1").uri(prefix)) == "nobody");
    CHECK(id_of(odd_certificate().name("dev-1").uri(prefix + "#")) == "nobody");
    CHECK(id_of(odd_certificate().name("dev-1").uri(prefix + std::string("dev-2\0x", 7))) == "nobody");
    CHECK(id_of(odd_certificate().name("dev-1").damaged_san()) == "nobody");
}

TEST_CASE("two device URIs are no identity") {
    CHECK(id_of(odd_certificate().uri(prefix + "a").uri(prefix + "b")) == "nobody");
    CHECK(id_of(odd_certificate().uri(prefix + "a").uri(prefix + "a")) == "nobody");
}

TEST_CASE("a common name with a NUL inside is nobody, not the part before it") {
    CHECK(id_of(odd_certificate().name(std::string_view("dev-1\0.evil", 11))) == "nobody");
}

TEST_CASE("two common names are no identity") {
    CHECK(id_of(odd_certificate().name("dev-1").name("dev-2")) == "nobody");
}

TEST_CASE("a common name ends at 64 characters") {
    CHECK(id_of(odd_certificate().name(std::string(64, 'x'))) == std::string(64, 'x'));
    CHECK(id_of(odd_certificate().name(std::string(65, 'x'))) == "nobody");
    CHECK(id_of(odd_certificate().uri(prefix + std::string(128, 'x'))) == std::string(128, 'x'));
    CHECK(id_of(odd_certificate().uri(prefix + std::string(129, 'x'))) == "nobody");
}

TEST_CASE("wildcards and levels in a common name are nobody") {
    for (const char* bad : {"+", "#", "a/b", "", "device 1"}) CHECK(id_of(odd_certificate().name(bad)) == "nobody");
}

TEST_CASE("a common name in UTF-16 is read as text") {
    CHECK(id_of(odd_certificate().name(std::string_view("\0d\0v", 4), V_ASN1_BMPSTRING)) == "dv");
    CHECK(id_of(odd_certificate().name(std::string_view("\x01\x64\0v", 4), V_ASN1_BMPSTRING)) == "nobody");
}

TEST_CASE("the fingerprint is the SHA-256 of the DER form") {
    odd_certificate certificate;
    X509* x509 = certificate.name("dev-1").get();
    unsigned char* der = nullptr;
    const int size = i2d_X509(x509, &der);
    unsigned char sum[32];
    unsigned int sum_size = 0;
    EVP_Digest(der, static_cast<std::size_t>(size), sum, &sum_size, EVP_sha256(), nullptr);
    OPENSSL_free(der);
    const auto found = identity_of(x509);
    REQUIRE(found);
    CHECK(found->fingerprint.size() == 64);
    unsigned int first = 0;
    std::sscanf(found->fingerprint.c_str(), "%2x", &first);
    CHECK(first == sum[0]);
}
