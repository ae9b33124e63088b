#include "certs/sealed_stream.hpp"

#include <array>
#include <limits>
#include <memory>
#include <utility>

#include <openssl/evp.h>

#include "certs/digest.hpp"
#include "certs/handles.hpp"

namespace fb::certs {

namespace {

constexpr std::size_t chunk_bytes = 65'536;
constexpr std::size_t tag_bytes = 16;
constexpr std::size_t nonce_bytes = 12;
constexpr std::size_t salt_bytes = 16;
constexpr std::size_t key_bytes = 32, check_bytes = 5;
constexpr std::size_t costs_at = 8, check_at = 11, salt_at = 16, head_bytes = salt_at + salt_bytes;

// As costly to guess as N = 2^17 with p = 1, in a quarter of the memory: a gateway has little.
constexpr char log2_n = 15, block_size = 8, parallel = 3;
// A file that asks for more was not made by us, and shall not take the machine's memory.
constexpr int log2_n_max = 20, block_size_max = 16, parallel_max = 16;
constexpr std::uint64_t derive_bytes_max = std::uint64_t(1) << 31;

using cipher_ptr = std::unique_ptr<EVP_CIPHER_CTX, freed_by<EVP_CIPHER_CTX_free>>;

unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

/// The key, and the check behind it.
std::string derive(std::string_view passphrase, std::string_view head) {
    const int n = head[costs_at], r = head[costs_at + 1], p = head[costs_at + 2];
    if (n < 1 || n > log2_n_max || r < 1 || r > block_size_max || p < 1 || p > parallel_max)
        throw unsealing_failure("the beginning of the encrypted data is damaged, or of a newer program");
    const std::string_view salt = head.substr(salt_at);
    std::string key(key_bytes + check_bytes, '\0');
    require(EVP_PBE_scrypt(passphrase.data(), passphrase.size(), bytes_of(salt), salt.size(), std::uint64_t(1) << n,
                           static_cast<std::uint64_t>(r), static_cast<std::uint64_t>(p), derive_bytes_max,
                           bytes_of(key), key.size()) == 1,
            "a key cannot be derived from the passphrase");
    return key;
}

std::array<unsigned char, nonce_bytes> nonce_of(std::uint64_t number, bool last) {
    std::array<unsigned char, nonce_bytes> nonce{};
    for (std::size_t i = 0; i < sizeof number; ++i)
        nonce[nonce_bytes - 2 - i] = static_cast<unsigned char>(number >> (8 * i));
    nonce.back() = last ? 1 : 0;
    return nonce;
}

/// A context that has the key, the nonce and the head.
cipher_ptr begin_chunk(const std::string& key, std::string_view head, std::uint64_t number, bool last, bool sealing) {
    cipher_ptr context(EVP_CIPHER_CTX_new());
    require(context != nullptr, "no memory for a cipher");
    const auto nonce = nonce_of(number, last);
    int length = 0;
    require(EVP_CipherInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, bytes_of(std::string_view(key)), nonce.data(),
                              sealing ? 1 : 0) == 1 &&
                EVP_CipherUpdate(context.get(), nullptr, &length, bytes_of(head), static_cast<int>(head.size())) == 1,
            "AES-256-GCM cannot be used");
    return context;
}

std::string seal(const std::string& key, std::string_view head, std::uint64_t number, bool last,
                 std::string_view plain) {
    const cipher_ptr context = begin_chunk(key, head, number, last, true);
    std::string out(plain.size() + tag_bytes, '\0');
    int length = 0, rest = 0;
    require(EVP_CipherUpdate(context.get(), bytes_of(out), &length, bytes_of(plain), static_cast<int>(plain.size())) ==
                    1 &&
                EVP_CipherFinal_ex(context.get(), bytes_of(out) + length, &rest) == 1 &&
                EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, tag_bytes, bytes_of(out) + plain.size()) == 1,
            "AES-256-GCM failed");
    return out;
}

/// False when the tag does not fit.
bool unseal(const std::string& key, std::string_view head, std::uint64_t number, bool last, std::string_view sealed,
            std::string& plain) {
    const cipher_ptr context = begin_chunk(key, head, number, last, false);
    const std::string_view body = sealed.substr(0, sealed.size() - tag_bytes);
    std::string tag(sealed.substr(body.size()));
    plain.resize(body.size());
    int length = 0, rest = 0;
    require(EVP_CipherUpdate(context.get(), bytes_of(plain), &length, bytes_of(body), static_cast<int>(body.size())) ==
                    1 &&
                EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, tag_bytes, tag.data()) == 1,
            "AES-256-GCM failed");
    return EVP_CipherFinal_ex(context.get(), bytes_of(plain) + length, &rest) == 1;
}

} // namespace

sealer::sealer(std::string_view passphrase, sink out)
    : out_(std::move(out))
    , head_(std::string(sealed_mark) + log2_n + block_size + parallel + std::string(check_bytes, '\0') +
            random_bytes(salt_bytes))
    , key_(derive(passphrase, head_)) {
    head_.replace(check_at, check_bytes, key_.substr(key_bytes));
    key_.resize(key_bytes);
    out_(head_);
}

void sealer::write(std::string_view bytes) {
    while (!bytes.empty()) {
        if (waiting_.size() == chunk_bytes) put_chunk(std::exchange(waiting_, {}), false);
        const auto part = bytes.substr(0, chunk_bytes - waiting_.size());
        waiting_.append(part);
        bytes.remove_prefix(part.size());
    }
}

void sealer::finish() { put_chunk(std::exchange(waiting_, {}), true); }

void sealer::put_chunk(std::string_view bytes, bool last) { out_(seal(key_, head_, number_++, last, bytes)); }

unsealer::unsealer(std::string_view passphrase, source in)
    : in_(std::move(in))
    , head_(head_bytes, '\0') {
    if (in_(head_) < head_bytes) throw unsealing_failure("the encrypted data end within their beginning: cut short");
    if (!head_.starts_with(sealed_mark)) throw unsealing_failure("the data are not encrypted");
    key_ = derive(passphrase, head_);
    if (key_.substr(key_bytes) != head_.substr(check_at, check_bytes))
        throw wrong_passphrase("the passphrase is wrong, or the beginning of the file is damaged");
    key_.resize(key_bytes);
}

/// One byte more than a chunk tells whether it is the last one.
std::string unsealer::next() {
    if (ended_) return {};
    const std::size_t had = waiting_.size();
    waiting_.resize(chunk_bytes + tag_bytes + 1);
    waiting_.resize(had + in_(std::span(waiting_).subspan(had)));
    ended_ = waiting_.size() <= chunk_bytes + tag_bytes;
    const std::string_view chunk = std::string_view(waiting_).substr(0, chunk_bytes + tag_bytes);
    std::string plain;
    if (chunk.size() < tag_bytes || !unseal(key_, head_, number_, ended_, chunk, plain))
        throw unsealing_failure("the encrypted data are damaged or cut short after " +
                                std::to_string(number_ * chunk_bytes) + " bytes");
    ++number_;
    waiting_.erase(0, chunk.size());
    return plain;
}

} // namespace fb::certs
