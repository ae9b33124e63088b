// Hashes, HMAC and random bytes (OpenSSL). Any thread; a digest object belongs to one. Throws failure when OpenSSL
// cannot: out of memory, no entropy, or MD5 under a FIPS policy.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

typedef struct evp_md_ctx_st EVP_MD_CTX;

namespace fb::certs {

enum class digest_kind { sha256, sha1, md5, sha512 };

/// Incremental: update() as bytes arrive, then finish_hex() once.
class digest {
  public:
    explicit digest(digest_kind kind);
    ~digest();
    digest(digest&&) noexcept;
    digest& operator=(digest&&) noexcept;
    void update(std::string_view bytes);
    std::string finish_hex(); // lower case
    std::string finish();     // raw bytes

  private:
    EVP_MD_CTX* context_;
};

std::string sha256_hex(std::string_view bytes);
std::string sha256(std::string_view bytes);                           // 32 raw bytes
std::string sha1(std::string_view bytes);                             // 20 raw bytes; for protocols that ask for it
std::string hmac_sha256(std::string_view key, std::string_view text); // 32 raw bytes
std::string base64url(std::string_view bytes);                        // without padding
std::string base64(std::string_view bytes);                           // with padding
std::optional<std::string> from_base64(std::string_view text);        // nothing when it is not base64 with padding
/// PBKDF2 with HMAC (RFC 8018 section 5.2), `count` bytes. Takes as long as `iterations` say: not on a shard.
std::string pbkdf2(digest_kind kind, std::string_view password, std::string_view salt, unsigned iterations,
                   std::size_t count);
bool equal_constant_time(std::string_view a, std::string_view b) noexcept;
std::string random_bytes(std::size_t count);
/// Bytes as lower-case hex.
std::string to_hex(std::string_view bytes);

} // namespace fb::certs
