#include "bench/micro/allocations.hpp"

#include <cstddef>

namespace fb::micro {
namespace {
std::uint64_t count = 0; // one thread
}

std::uint64_t allocations() noexcept { return count; }

void count_allocation() noexcept { ++count; }

} // namespace fb::micro

// The executable's own malloc comes before glibc's, for shared libraries as well, and operator new calls it. glibc's
// stays reachable under these names, and its free() takes what they give.
extern "C" {
void* __libc_malloc(std::size_t bytes) noexcept;
void* __libc_calloc(std::size_t count, std::size_t bytes) noexcept;
void* __libc_realloc(void* old, std::size_t bytes) noexcept;

void* malloc(std::size_t bytes) noexcept {
    fb::micro::count_allocation();
    return __libc_malloc(bytes);
}

void* calloc(std::size_t count, std::size_t bytes) noexcept {
    fb::micro::count_allocation();
    return __libc_calloc(count, bytes);
}

void* realloc(void* old, std::size_t bytes) noexcept {
    fb::micro::count_allocation();
    return __libc_realloc(old, bytes);
}
}
