// Which connections can be read or written: an epoll set of its own that the shard's io_context watches as one
// descriptor, so that a turn learns of hundreds of connections in one call and none of them has to be armed again
// after each read. Edge-triggered: an event says that something has changed since the last one. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <sys/epoll.h>

namespace fb::net {

class readiness {
  public:
    /// Throws std::system_error when the kernel has no room for another set.
    readiness();
    ~readiness();
    readiness(const readiness&) = delete;
    readiness& operator=(const readiness&) = delete;

    /// Readable while something has happened that ready() has not told.
    int descriptor() const noexcept { return set_; }

    /// From now on ready() tells when `fd` has something to read, and at once if it has. False: the kernel has no room
    /// (errno). A descriptor leaves by itself when it is closed.
    bool add(int fd, std::uint64_t key) noexcept;
    /// For a descriptor of the set: ready() tells when it has room to write, and at once if it has.
    void await_room(int fd, std::uint64_t key) noexcept;
    /// Before `fd` goes to another set.
    void remove(int fd) noexcept;

    struct event {
        std::uint64_t key = 0;
        bool readable = false; // or ended, or broken: reading says which
        bool writable = false;
        bool ended = false; // the peer sends no more: behind what can be read there is an end, and no other event
    };
    /// What has happened, without waiting; as many as fit.
    std::span<const event> ready() noexcept;

  private:
    int set_;
    std::array<epoll_event, 256> raw_;
    std::array<event, 256> events_;
};

} // namespace fb::net
