#include "broker/net/readiness.hpp"

#include <cerrno>
#include <system_error>
#include <unistd.h>

namespace fb::net {
namespace {

constexpr std::uint32_t reading = EPOLLIN | EPOLLRDHUP | EPOLLET;
constexpr std::uint32_t over = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

bool control(int set, int operation, int fd, std::uint32_t events, std::uint64_t key) noexcept {
    epoll_event e{};
    e.events = events;
    e.data.u64 = key;
    return ::epoll_ctl(set, operation, fd, &e) == 0;
}

} // namespace

readiness::readiness()
    : set_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (set_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

readiness::~readiness() { ::close(set_); }

bool readiness::add(int fd, std::uint64_t key) noexcept { return control(set_, EPOLL_CTL_ADD, fd, reading, key); }

void readiness::await_room(int fd, std::uint64_t key) noexcept {
    control(set_, EPOLL_CTL_MOD, fd, reading | EPOLLOUT, key);
}

void readiness::remove(int fd) noexcept { control(set_, EPOLL_CTL_DEL, fd, 0, 0); }

std::span<const readiness::event> readiness::ready() noexcept {
    const int count = ::epoll_wait(set_, raw_.data(), static_cast<int>(raw_.size()), 0);
    std::size_t n = 0;
    for (; static_cast<int>(n) < count; ++n) {
        const std::uint32_t what = raw_[n].events;
        events_[n] = {raw_[n].data.u64, (what & (EPOLLIN | over)) != 0, (what & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0,
                      (what & over) != 0};
    }
    return {events_.data(), n};
}

} // namespace fb::net
