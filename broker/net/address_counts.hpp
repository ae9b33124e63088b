// How many connections each peer address holds, over all shards, and the bound on that (connections_per_address_max).
//
// Any thread may enter; a lease counts for its connection, moves with it, and gives the place back when it ends. The
// counts must outlive the leases. With a bound of 0 nothing is counted.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace fb::net {

class address_counts;

class address_lease {
  public:
    address_lease() = default;
    address_lease(address_counts& counts, std::string address)
        : counts_(&counts)
        , address_(std::move(address)) {}
    address_lease(address_lease&& other) noexcept
        : counts_(std::exchange(other.counts_, nullptr))
        , address_(std::move(other.address_)) {}
    address_lease& operator=(address_lease&& other) noexcept;
    ~address_lease() { end(); }

  private:
    void end() noexcept;

    address_counts* counts_ = nullptr;
    std::string address_;
};

class address_counts {
  public:
    explicit address_counts(std::uint32_t each_max)
        : each_max_(each_max) {}

    /// Nothing when the address holds as many connections as it may.
    std::optional<address_lease> enter(const std::string& address);

  private:
    friend class address_lease;
    void leave(const std::string& address) noexcept;

    const std::uint32_t each_max_;
    std::mutex mutex_; // protects counts_
    boost::unordered_flat_map<std::string, std::uint32_t> counts_;
};

} // namespace fb::net
