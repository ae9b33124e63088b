// The way of one segment's operations into the database, in steps. It may be begun again from the start at any time:
// the operations are absolute, and the segment counts as applied with its last step only.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "storage/redo/fold.hpp"
#include "storage/redo/segment.hpp"

namespace fb::storage::redo {

/// Gives all operations of a segment to `look`, and each frame to `passed` when it is done with it.
status read_operations(segment_reader& from, const std::function<void(const session_operation&)>& look,
                       const std::function<void(const frame&)>& passed = {});

class checkpoint {
  public:
    /// As segment_reader. All must outlive this.
    checkpoint(checkpointed_store& base, segment_file& file, const segment_head& head, std::uint64_t end);
    /// True when there is more to do.
    result<bool> step();
    std::uint64_t next_serial() const noexcept { return next_serial_; }
    std::uint64_t missing() const noexcept { return missing_; }
    std::uint64_t applied() const noexcept { return applied_; } // operations

  private:
    static constexpr std::size_t operations_per_step = 4096;

    status look();

    checkpointed_store& base_;
    segment_file& file_;
    const segment_head head_;
    const std::uint64_t end_;
    fold fold_;
    bool looked_ = false;
    std::vector<std::uint64_t> serials_; // of the frames that the fold has seen
    std::size_t passed_ = 0;             // of them, by the second pass
    segment_reader reader_;              // of the second pass
    std::uint64_t next_serial_ = 0;
    std::uint64_t missing_ = 0;
    std::uint64_t applied_ = 0;
};

} // namespace fb::storage::redo
