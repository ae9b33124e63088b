// One segment of the redo log, as it lies in its file: a head in the first page, then frames. A frame is one commit and
// begins a page of its own: writing one touches no page that holds an earlier one, which a power cut in the middle of a
// page could take along.
//
//   head   "fbredo1\n"  log 8  number 8  first serial 8  seed 8  checksum of these 8
//   frame  mark 4  payload bytes 4  serial 8  checksum 8 (of mark, bytes, serial and payload)  payload (operations.hpp)
//
// Files are used again. The seed is a new random number with each use and goes into every checksum: what an earlier use
// left, or a client has put into a payload, is not taken for a frame.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "storage/redo/segment_file.hpp"
#include "storage/session_store.hpp"

namespace fb::storage::redo {

inline constexpr std::uint64_t page_bytes = 4096;
inline constexpr std::uint64_t no_serial = ~std::uint64_t(0);

constexpr std::uint64_t whole_pages(std::uint64_t bytes) { return (bytes + page_bytes - 1) / page_bytes * page_bytes; }

struct segment_head {
    std::uint64_t log = 0;          // redo_mark::log of its database
    std::uint64_t number = 0;       // rises from segment to segment; 0: none
    std::uint64_t first_serial = 0; // of its first frame. Serials rise by one from frame to frame
    std::uint64_t seed = 0;
};

std::string encode(const segment_head& head); // a page
/// Nothing when it is not a head, or a torn one.
result<std::optional<segment_head>> read_head(segment_file& file);

/// One commit as a frame, in two parts: the second needs to know where the first will lie. `frame` is overwritten.
void begin_frame(std::span<const session_operation> operations, std::string& frame);
/// In whole pages.
void finish_frame(std::uint64_t serial, std::uint64_t seed, std::string& frame);

struct frame {
    std::uint64_t serial = 0;
    std::shared_ptr<const std::string> payload;
};

/// The frames of a segment, in order. A page that begins no frame is skipped: it is the end, or it is damage, which the
/// next serial shows.
class segment_reader {
  public:
    /// Frames from serial `end` on are not of this segment: the next one has them. The file must outlive the reader.
    segment_reader(segment_file& file, const segment_head& head, std::uint64_t end);
    /// Nothing at the end.
    result<std::optional<frame>> next();
    /// Serials that are missing between those given so far.
    std::uint64_t missing() const noexcept { return missing_; }
    std::uint64_t next_serial() const noexcept { return expected_; }

  private:
    result<std::optional<frame>> read_at_offset();

    segment_file& file_;
    segment_head head_;
    std::uint64_t end_;
    std::uint64_t expected_;
    std::uint64_t offset_ = page_bytes;
    std::uint64_t missing_ = 0;
    bool at_end_ = false;
};

} // namespace fb::storage::redo
