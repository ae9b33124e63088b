// Who may do what. Tokens are looked up by their hash; an answer is remembered for 5 s, so that a revocation works
// within seconds. An address that keeps presenting wrong tokens is answered 429 without a look-up. HTTP thread only.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "http/message.hpp"
#include "storage/records.hpp"

namespace fb::http {

struct context;

/// Sets `request.who` from `Authorization: Bearer`. Without that header it stays empty and there is no problem.
task<std::optional<problem>> authenticate(context& ctx, request& r);

/// 401 without a token, 403 below `least`.
std::optional<problem> require(const request& r, role least);

problem unauthorized(std::string detail);

/// Failures per address: ten at once, then one per six seconds.
class failure_limiter {
  public:
    static constexpr double burst = 10, per_second = 1.0 / 6;
    static constexpr std::size_t addresses_max = 4096;

    bool exhausted(const std::string& address, std::chrono::steady_clock::time_point now);
    void failed(const std::string& address, std::chrono::steady_clock::time_point now);

  private:
    struct bucket {
        double left = burst;
        std::chrono::steady_clock::time_point at;
    };
    bucket& bucket_of(const std::string& address, std::chrono::steady_clock::time_point now);
    std::unordered_map<std::string, bucket> buckets_;
};

class token_cache {
  public:
    static constexpr std::chrono::seconds kept{5};
    static constexpr std::size_t tokens_max = 1024;
    struct entry {
        std::optional<storage::api_token> row;
        std::chrono::steady_clock::time_point until;
    };

    const entry* find(const std::string& hash, std::chrono::steady_clock::time_point now) const;
    void put(const std::string& hash, std::optional<storage::api_token> row, std::chrono::steady_clock::time_point now);
    failure_limiter failures;
    std::map<storage::token_uuid, storage::timestamp> touched; // when this process last wrote a token's use

  private:
    std::unordered_map<std::string, entry> entries_;
};

} // namespace fb::http
