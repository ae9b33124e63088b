// Hashes, HMAC and random bytes (OpenSSL). Any thread; a digest object belongs to one. Throws failure when OpenSSL
// cannot: out of memory, no entropy, or MD5 under a FIPS policy.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

typedef struct evp_md_ctx_st EVP_MD_CTX;

namespace fb::certs {

enum class digest_kind { sha256, sha1, md5 };

/// Incremental: update() as bytes arrive, then finish_hex() once.
class digest {
  public:
    explicit digest(digest_kind kind);
    ~digest();
    digest(digest&&) noexcept;
    digest& operator=(digest&&) noexcept;
    void update(std::string_view bytes);
    std::string finish_hex(); // lower case

  private:
    EVP_MD_CTX* context_;
};

std::string sha256_hex(std::string_view bytes);
std::string hmac_sha256(std::string_view key, std::string_view text); // 32 raw bytes
std::string base64url(std::string_view bytes);                        // without padding
bool equal_constant_time(std::string_view a, std::string_view b) noexcept;
std::string random_bytes(std::size_t count);
/// Bytes as lower-case hex.
std::string to_hex(std::string_view bytes);

} // namespace fb::certs
