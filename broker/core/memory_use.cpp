#include "broker/core/memory_use.hpp"

#include <algorithm>
#include <atomic>

namespace fb::core {
namespace {

std::atomic<std::int64_t> passed_on{0};
thread_local std::int64_t gathered = 0;

} // namespace

void count_memory(std::int64_t bytes) noexcept {
    gathered += bytes;
    if (gathered < memory_use::slack_bytes && gathered > -memory_use::slack_bytes) return;
    passed_on.fetch_add(gathered, std::memory_order_relaxed);
    gathered = 0;
}

std::int64_t memory_in_use() noexcept { return std::max<std::int64_t>(0, passed_on.load(std::memory_order_relaxed)); }

} // namespace fb::core
