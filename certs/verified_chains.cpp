#include "certs/verified_chains.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include <openssl/x509_vfy.h>

#include "certs/digest.hpp"
#include "certs/peer_check.hpp"

namespace fb::certs {
namespace {

/// Empty when OpenSSL cannot: then nothing is known and nothing remembered.
std::string key_of(X509_STORE_CTX* ctx) {
    digest all(digest_kind::sha256);
    const auto add = [&](X509* certificate) {
        unsigned char bytes[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        if (X509_digest(certificate, EVP_sha256(), bytes, &size) != 1) return false;
        all.update({reinterpret_cast<const char*>(bytes), size});
        return true;
    };
    if (!add(X509_STORE_CTX_get0_cert(ctx))) return {};
    const STACK_OF(X509)* rest = X509_STORE_CTX_get0_untrusted(ctx);
    for (int i = 0; i < sk_X509_num(rest); ++i)
        if (!add(sk_X509_value(rest, i))) return {};
    return all.finish();
}

std::optional<std::time_t> seconds_of(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
    return ::timegm(&parts);
}

} // namespace

int verified_chains::verify(X509_STORE_CTX* ctx) {
    std::string key = key_of(ctx);
    if (!key.empty() && known(key, verification_time(X509_STORE_CTX_get0_param(ctx)))) {
        X509_STORE_CTX_set_error(ctx, X509_V_OK);
        return 1;
    }
    const int verdict = X509_verify_cert(ctx);
    if (verdict != 1 || key.empty()) return verdict;
    validity v{std::numeric_limits<std::time_t>::min(), std::numeric_limits<std::time_t>::max()};
    const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(ctx);
    for (int i = 0; i < sk_X509_num(chain); ++i) {
        const auto from = seconds_of(X509_get0_notBefore(sk_X509_value(chain, i)));
        const auto until = seconds_of(X509_get0_notAfter(sk_X509_value(chain, i)));
        if (!from || !until) return verdict;
        v = {std::max(v.from, *from), std::min(v.until, *until)};
    }
    remember(std::move(key), v);
    return verdict;
}

bool verified_chains::known(const std::string& key, std::time_t now) const {
    const std::lock_guard lock(mutex_);
    const auto at = chains_.find(key);
    return at != chains_.end() && at->second.from <= now && now <= at->second.until;
}

void verified_chains::remember(std::string key, const validity& v) {
    const std::lock_guard lock(mutex_);
    if (chains_.size() >= count_max_) chains_.clear();
    chains_.insert_or_assign(std::move(key), v);
}

std::size_t verified_chains::size() const {
    const std::lock_guard lock(mutex_);
    return chains_.size();
}

} // namespace fb::certs
