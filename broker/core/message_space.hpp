// Where messages go that memory has no room for.
#pragma once

#include <cstddef>

namespace fb::core {

/// Outlives every message in it. Any thread.
class message_space {
  public:
    virtual ~message_space() = default;

    /// Aligned as operator new would; nullptr when there is no room.
    virtual void* take(std::size_t bytes) noexcept = 0;
    /// What take() gave, with the same size.
    virtual void give_back(void* at, std::size_t bytes) noexcept = 0;
};

} // namespace fb::core
