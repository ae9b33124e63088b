// Hashes and encodings against published vectors (FIPS 180, RFC 1321, RFC 4231, RFC 4648).
#include "certs/digest.hpp"

#include <doctest/doctest.h>

using namespace fb::certs;

namespace {

std::string hex_of(digest_kind kind, std::string_view bytes) {
    digest sum(kind);
    for (const char c : bytes) sum.update({&c, 1});
    return sum.finish_hex();
}

} // namespace

TEST_CASE("digests agree with the standards' vectors, however the bytes are cut") {
    CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(hex_of(digest_kind::sha256, "abc") == sha256_hex("abc"));
    CHECK(hex_of(digest_kind::sha1, "abc") == "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK(hex_of(digest_kind::md5, "message digest") == "f96b697d7cb7938d525a2f31aaf161d0");
}

TEST_CASE("a digest goes on after being moved") {
    digest first(digest_kind::sha256);
    first.update("a");
    digest second(std::move(first));
    second.update("b");
    digest third(digest_kind::md5);
    third = std::move(second);
    third.update("c");
    CHECK(third.finish_hex() == sha256_hex("abc"));
}

TEST_CASE("HMAC-SHA256 agrees with RFC 4231") {
    CHECK(to_hex(hmac_sha256("Jefe", "what do ya want for nothing?")) ==
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    CHECK(to_hex(hmac_sha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")) ==
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("an empty HMAC key is a key") {
    CHECK(to_hex(hmac_sha256("", "")) == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    CHECK(to_hex(hmac_sha256({}, {})) == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST_CASE("SHA-1 in base64 agrees with RFC 6455's example") {
    CHECK(base64(sha1("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) ==
          "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST_CASE("base64url has no padding and no characters that a URL would escape") {
    CHECK(base64url("") == "");
    CHECK(base64url("f") == "Zg");
    CHECK(base64url("fo") == "Zm8");
    CHECK(base64url("foo") == "Zm9v");
    CHECK(base64url("\xfb\xff\xfe") == "-__-");
}

TEST_CASE("comparing in constant time still compares") {
    CHECK(equal_constant_time("", ""));
    CHECK(equal_constant_time("secret", "secret"));
    CHECK_FALSE(equal_constant_time("secret", "secreT"));
    CHECK_FALSE(equal_constant_time("secret", "secre"));
}

TEST_CASE("random bytes have the length asked for and differ") {
    CHECK(random_bytes(0).empty());
    CHECK(random_bytes(32).size() == 32);
    CHECK(random_bytes(32) != random_bytes(32));
}
