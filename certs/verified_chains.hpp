// Client certificates whose chain has been verified in this context: a device that comes back is not verified again as
// long as every certificate of the chain is valid. Which CAs are trusted never changes within a context, so a verdict
// holds for its life. Any thread. Bounded: when full it starts anew.
#pragma once

#include <cstddef>
#include <ctime>
#include <mutex>
#include <string>
#include <unordered_map>

typedef struct x509_store_ctx_st X509_STORE_CTX;

namespace fb::certs {

class verified_chains {
  public:
    explicit verified_chains(std::size_t count_max)
        : count_max_(count_max) {}

    /// In the place of X509_verify_cert(): 1 when the chain is good, and the error is in `ctx`.
    int verify(X509_STORE_CTX* ctx);

    std::size_t size() const;

  private:
    struct validity {
        std::time_t from = 0;
        std::time_t until = 0;
    };
    bool known(const std::string& key, std::time_t now) const;
    void remember(std::string key, const validity& v);

    const std::size_t count_max_;
    mutable std::mutex mutex_;                         // protects chains_
    std::unordered_map<std::string, validity> chains_; // by the SHA-256 of all that the client sent
};

} // namespace fb::certs
