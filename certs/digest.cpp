#include "certs/digest.hpp"

#include <algorithm>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "certs/error.hpp"
#include "certs/handles.hpp"

namespace fb::certs {

namespace {

const EVP_MD* algorithm(digest_kind kind) {
    switch (kind) {
    case digest_kind::sha1: return EVP_sha1();
    case digest_kind::md5: return EVP_md5();
    case digest_kind::sha512: return EVP_sha512();
    case digest_kind::sha256: break;
    }
    return EVP_sha256();
}

const unsigned char* raw(std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

} // namespace

digest::digest(digest_kind kind)
    : context_(EVP_MD_CTX_new()) {
    if (EVP_DigestInit_ex(context_, algorithm(kind), nullptr) == 1) return;
    EVP_MD_CTX_free(context_);
    throw failure("this OpenSSL refuses the digest: " + openssl_errors());
}

digest::~digest() { EVP_MD_CTX_free(context_); }

digest::digest(digest&& other) noexcept
    : context_(std::exchange(other.context_, nullptr)) {}

digest& digest::operator=(digest&& other) noexcept {
    std::swap(context_, other.context_);
    return *this;
}

void digest::update(std::string_view bytes) {
    require(EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1, "digest");
}

std::string digest::finish() {
    std::string out(EVP_MAX_MD_SIZE, '\0');
    unsigned int size = 0;
    require(EVP_DigestFinal_ex(context_, reinterpret_cast<unsigned char*>(out.data()), &size) == 1, "digest");
    out.resize(size);
    return out;
}

std::string digest::finish_hex() { return to_hex(finish()); }

std::string sha256_hex(std::string_view bytes) {
    digest sum(digest_kind::sha256);
    sum.update(bytes);
    return sum.finish_hex();
}

std::string sha256(std::string_view bytes) {
    digest sum(digest_kind::sha256);
    sum.update(bytes);
    return sum.finish();
}

std::string sha1(std::string_view bytes) {
    digest sum(digest_kind::sha1);
    sum.update(bytes);
    return sum.finish();
}

std::string hmac_sha256(std::string_view key, std::string_view text) {
    if (key.empty()) key = ""; // to OpenSSL a null key means the last one used
    std::string out(32, '\0');
    unsigned int size = 0;
    const auto* done = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), raw(text), text.size(),
                            reinterpret_cast<unsigned char*>(out.data()), &size);
    require(done && size == out.size(), "HMAC");
    return out;
}

std::string base64(std::string_view bytes) {
    std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0'); // EVP_EncodeBlock ends it with a NUL
    out.resize(
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), raw(bytes), static_cast<int>(bytes.size())));
    return out;
}

std::optional<std::string> from_base64(std::string_view text) {
    const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
    const auto valid = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
    };
    const std::string_view digits = text.substr(0, text.size() - padding);
    if (text.empty() || text.size() % 4 != 0 || !std::all_of(digits.begin(), digits.end(), valid)) return std::nullopt;
    std::string out(text.size() / 4 * 3, '\0'); // EVP_DecodeBlock pads with NULs
    const int size =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()), raw(text), static_cast<int>(text.size()));
    if (size < 0) return std::nullopt;
    out.resize(static_cast<std::size_t>(size) - padding);
    return out;
}

std::string pbkdf2(digest_kind kind, std::string_view password, std::string_view salt, unsigned iterations,
                   std::size_t count) {
    std::string out(count, '\0');
    require(PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), raw(salt),
                              static_cast<int>(salt.size()), static_cast<int>(iterations), algorithm(kind),
                              static_cast<int>(count), reinterpret_cast<unsigned char*>(out.data())) == 1,
            "PBKDF2");
    return out;
}

std::string base64url(std::string_view bytes) {
    std::string out = base64(bytes);
    while (!out.empty() && out.back() == '=') out.pop_back();
    for (char& c : out) {
        if (c == '+') c = '-';
        if (c == '/') c = '_';
    }
    return out;
}

bool equal_constant_time(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_bytes(std::size_t count) {
    std::string out(count, '\0');
    require(RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(count)) == 1, "random numbers");
    return out;
}

std::string to_hex(std::string_view bytes) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const unsigned char byte : bytes) {
        out += digits[byte >> 4];
        out += digits[byte & 15];
    }
    return out;
}

} // namespace fb::certs
