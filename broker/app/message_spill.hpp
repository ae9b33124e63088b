// A file for messages that memory has no room for: they lie in it as they would in memory, and the kernel decides what
// of it stays in RAM. The file has no name, so nothing is left of it after the process, however that ends: what has to
// outlive the process is in the state store.
//
// Room is given out front to back within regions; a region whose messages are all gone goes back to the disk at once.
// One long-lived message keeps its whole region. A message longer than a region has a run of regions to itself. A
// region's blocks are allocated before they are used, so a full disk is an answer (nullptr) and not a signal; a disk
// that cannot be read any more ends the process (SIGBUS), as it would with memory that was swapped out.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "broker/core/message_space.hpp"

namespace fb::app {

/// Any thread.
class message_spill final : public core::message_space {
  public:
    static constexpr std::size_t region_bytes = 4 << 20;

    /// In `directory`, at most `bytes_max` large (rounded down to whole regions). Throws std::runtime_error, in words,
    /// when such a file cannot be had there.
    message_spill(const std::filesystem::path& directory, std::uint64_t bytes_max);
    ~message_spill() override;
    message_spill(const message_spill&) = delete;
    message_spill& operator=(const message_spill&) = delete;

    void* take(std::size_t bytes) noexcept override;
    void give_back(void* at, std::size_t bytes) noexcept override;

    std::uint64_t file_bytes() const noexcept { return regions_used_.load(std::memory_order_relaxed) * region_bytes; }
    std::uint64_t message_bytes() const noexcept { return message_bytes_.load(std::memory_order_relaxed); }
    /// Asked for room and had none.
    std::uint64_t refused() const noexcept { return refused_.load(std::memory_order_relaxed); }

  private:
    struct region {
        std::atomic<std::uint32_t> messages{0}; // and one more while it is being filled
        std::uint32_t length = 0;               // in regions, of a message's run; 0: not the first of one, or free
        bool used = false;
    };

    bool begin_run(std::size_t length) noexcept;
    void end_filling() noexcept;
    void release(std::size_t first) noexcept;

    int fd_ = -1;
    char* base_ = nullptr;
    std::size_t region_count_;
    std::unique_ptr<region[]> regions_;
    std::mutex mutex_; // of what follows, and of region::length and region::used
    std::size_t search_from_ = 0;
    std::size_t filling_;    // region_count_: none
    std::size_t filled_ = 0; // bytes from the start of that run
    std::atomic<std::uint64_t> regions_used_{0};
    std::atomic<std::uint64_t> message_bytes_{0};
    std::atomic<std::uint64_t> refused_{0};
};

} // namespace fb::app
