// Many distinct filters, every other one with a wildcard, dealt out to subscribers, and topics of which each matches
// exactly one of the filters. Pure.
//
// A publisher's messages hop through all filters in strides, so that a broker cannot live on neighbours it has just
// looked up; every publisher begins somewhere else. Message k goes to subscriber k % subscribers and is the
// (k / subscribers)th that it gets from this publisher, so each delivery can be checked by its number.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fb::fleet {

class filter_spread {
  public:
    /// Throws std::runtime_error unless `filters` is a multiple of `subscribers`.
    filter_spread(std::string prefix, std::uint32_t filters, std::uint32_t subscribers, std::uint32_t publishers);

    std::vector<std::string> filters_of(std::uint32_t subscriber) const;
    std::string topic_of(std::uint32_t publisher, std::uint64_t sequence) const;

    std::uint32_t subscriber_of(std::uint64_t sequence) const {
        return static_cast<std::uint32_t>(sequence % subscribers_);
    }
    /// Which one it is of those that its subscriber gets from the publisher.
    std::uint64_t turn_of(std::uint64_t sequence) const { return sequence / subscribers_; }
    /// How many of a publisher's first `published` messages are for `subscriber`.
    std::uint64_t due(std::uint32_t subscriber, std::uint64_t published) const {
        return (published + subscribers_ - 1 - subscriber) / subscribers_;
    }

  private:
    std::string stem_of(std::uint64_t filter) const;

    std::string prefix_;
    std::uint64_t filters_;
    std::uint64_t subscribers_;
    std::uint64_t publishers_;
    std::uint64_t stride_; // has no divisor in common with filters_; is 1 more than a multiple of subscribers_
};

} // namespace fb::fleet
