#include "broker/net/address_counts.hpp"

namespace fb::net {

address_lease& address_lease::operator=(address_lease&& other) noexcept {
    end();
    counts_ = std::exchange(other.counts_, nullptr);
    address_ = std::move(other.address_);
    return *this;
}

void address_lease::end() noexcept {
    if (counts_ != nullptr) std::exchange(counts_, nullptr)->leave(address_);
}

std::optional<address_lease> address_counts::enter(const std::string& address) {
    if (each_max_ == 0) return address_lease{};
    const std::lock_guard lock(mutex_);
    std::uint32_t& count = counts_[address];
    if (count >= each_max_) return std::nullopt;
    ++count;
    return address_lease(*this, address);
}

void address_counts::leave(const std::string& address) noexcept {
    const std::lock_guard lock(mutex_);
    const auto at = counts_.find(address);
    if (at != counts_.end() && --at->second == 0) counts_.erase(at);
}

} // namespace fb::net
