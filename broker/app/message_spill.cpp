#include "broker/app/message_spill.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>

namespace fb::app {
namespace {

std::runtime_error failure(const std::filesystem::path& directory, const char* what) {
    return std::runtime_error(directory.string() + ": " + what + ": " + std::strerror(errno));
}

constexpr std::size_t alignment = alignof(std::max_align_t);

std::size_t aligned(std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

} // namespace

message_spill::message_spill(const std::filesystem::path& directory, std::uint64_t bytes_max)
    : region_count_(bytes_max / region_bytes)
    , regions_(std::make_unique<region[]>(region_count_))
    , filling_(region_count_) {
    if (region_count_ == 0) throw std::runtime_error("spill_bytes_max is less than " + std::to_string(region_bytes));
    fd_ = ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd_ < 0) throw failure(directory, "no file for messages can be made here");
    const std::size_t size = region_count_ * region_bytes;
    // Beyond its end for now: begin_run() makes it longer.
    void* const mapped = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd_, 0);
    if (mapped == MAP_FAILED) {
        const auto why = failure(directory, "the file for messages cannot be mapped");
        ::close(fd_);
        throw why;
    }
    base_ = static_cast<char*>(mapped);
}

message_spill::~message_spill() {
    ::munmap(base_, region_count_ * region_bytes);
    ::close(fd_);
}

void* message_spill::take(std::size_t bytes) noexcept {
    const std::size_t size = aligned(bytes);
    const std::lock_guard lock(mutex_);
    // A longer run is for one message: give_back() finds a run by the region that a message begins in.
    const bool open = filling_ != region_count_ && regions_[filling_].length == 1;
    if (!open || size > region_bytes - filled_) {
        end_filling();
        if (!begin_run((size + region_bytes - 1) / region_bytes)) {
            refused_.fetch_add(1, std::memory_order_relaxed);
            return nullptr;
        }
    }
    char* const at = base_ + filling_ * region_bytes + filled_;
    filled_ += size;
    regions_[filling_].messages.fetch_add(1, std::memory_order_relaxed);
    message_bytes_.fetch_add(size, std::memory_order_relaxed);
    return at;
}

void message_spill::give_back(void* at, std::size_t bytes) noexcept {
    message_bytes_.fetch_sub(aligned(bytes), std::memory_order_relaxed);
    const std::size_t first = static_cast<std::size_t>(static_cast<char*>(at) - base_) / region_bytes;
    if (regions_[first].messages.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    const std::lock_guard lock(mutex_);
    release(first);
}

/// `length` regions side by side, with their blocks on the disk, are to be filled next. REQUIRES: the lock.
bool message_spill::begin_run(std::size_t length) noexcept {
    std::size_t found = 0;
    std::size_t first = search_from_;
    for (std::size_t at = search_from_; at < region_count_ && found < length; ++at) {
        found = regions_[at].used ? 0 : found + 1;
        first = at + 1 - found;
    }
    if (found < length) return false;
    const auto bytes = static_cast<off_t>(length * region_bytes);
    if (::fallocate(fd_, 0, static_cast<off_t>(first * region_bytes), bytes) != 0) return false;
    for (std::size_t i = 0; i < length; ++i) regions_[first + i].used = true;
    regions_[first].length = static_cast<std::uint32_t>(length);
    regions_[first].messages.store(1, std::memory_order_relaxed);
    regions_used_.fetch_add(length, std::memory_order_relaxed);
    if (first == search_from_) search_from_ = first + length;
    filling_ = first;
    filled_ = 0;
    return true;
}

/// What is full need not be in this process's resident memory. REQUIRES: the lock.
void message_spill::end_filling() noexcept {
    if (filling_ == region_count_) return;
    const std::size_t first = filling_;
    filling_ = region_count_;
    ::madvise(base_ + first * region_bytes, regions_[first].length * region_bytes, MADV_DONTNEED);
    if (regions_[first].messages.fetch_sub(1, std::memory_order_acq_rel) == 1) release(first);
}

/// REQUIRES: the lock, and no message in the run.
void message_spill::release(std::size_t first) noexcept {
    const std::size_t length = regions_[first].length;
    ::fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(first * region_bytes),
                static_cast<off_t>(length * region_bytes));
    regions_[first].length = 0;
    for (std::size_t i = 0; i < length; ++i) regions_[first + i].used = false;
    regions_used_.fetch_sub(length, std::memory_order_relaxed);
    search_from_ = std::min(search_from_, first);
}

} // namespace fb::app
