// Deliveries that begin and end within one group of operations that are committed together: their rows would come and
// go in one transaction, so none of it is written. With subscribers that keep up these are most. One thread.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <utility>

#include "broker/core/persist.hpp"

namespace fb::app {

class passing_deliveries {
  public:
    /// The next batch of the group, in the order of the commit.
    void look_at(const core::persist_batch& batch);
    /// Need not be written. After the last look_at().
    bool cover(const core::persist_operation& operation) const;

  private:
    using row = std::pair<std::uint64_t, std::uint64_t>; // session, sequence: never used again
    bool ended(std::uint64_t session, std::uint64_t sequence) const;

    boost::unordered_flat_map<row, bool> begun_; // in this group; true: and ended
};

} // namespace fb::app
