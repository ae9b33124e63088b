// A copy of a database into a new file, made in steps between which its store goes on working.
// On the thread of the connection it copies from. Destroyed before its end it leaves half a file: the caller's to
// remove.
#pragma once

#include <cstdint>

#include "storage/error.hpp"

namespace fb::storage {

class online_copy {
  public:
    virtual ~online_copy() = default;
    /// True when there is more to do. After false the file is whole and on the disk. After an error nothing goes on.
    virtual result<bool> step() = 0;
    virtual std::uint64_t bytes_done() const noexcept = 0;
    virtual std::uint64_t bytes_all() const noexcept = 0; // 0 before the first step; may grow
};

} // namespace fb::storage
