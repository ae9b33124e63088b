// A shard's bounded cache of match lists by topic. One thread.
//
// A topic with few subscribers is kept from the second time it is seen in a while: topics that come once each (ids or
// times in them) would only push out those that are worth it, and cost memory and its release each time.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/routing_index.hpp"

namespace fb::core {

/// `entries_max` topics with 64 times as many subscribers in all; a full cache forgets everything, which costs one
/// round of misses and needs no bookkeeping per hit.
class match_cache {
  public:
    match_cache(const routing_index& index, std::size_t entries_max);

    /// As of now.
    match_list_ptr lookup(std::string_view topic);

  private:
    struct entry {
        std::uint64_t version = 0;
        match_list_ptr list;
    };
    struct hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
    };
    match_list_ptr match_once(std::string_view topic);
    bool seen_before(std::string_view topic) noexcept;

    const routing_index& index_;
    std::size_t entries_max_;
    std::size_t held_ = 0; // match entries of all lists
    boost::unordered_flat_map<std::string, entry, hash, std::equal_to<>> entries_;
    std::vector<bool> seen_; // by hash; forgotten after entries_max_ topics
    std::size_t seen_count_ = 0;
    boost::intrusive_ptr<match_list> once_; // of the last topic that was not kept, to be used again
};

} // namespace fb::core
