// A listening Unix-domain socket and its place in the file system. Start-up and stop, one thread.
#pragma once

#include <string>
#include <sys/types.h>
#include <utility>

namespace fb::net {

/// Removes the socket's file when it goes, unless somebody else has put another one there meanwhile.
class unix_socket_file {
  public:
    unix_socket_file(std::string path, dev_t device, ino_t inode)
        : path_(std::move(path))
        , device_(device)
        , inode_(inode) {}
    unix_socket_file(unix_socket_file&& other) noexcept
        : path_(std::exchange(other.path_, {}))
        , device_(other.device_)
        , inode_(other.inode_) {}
    unix_socket_file& operator=(unix_socket_file&&) = delete;
    ~unix_socket_file();

  private:
    std::string path_;
    dev_t device_;
    ino_t inode_;
};

struct unix_listener {
    int fd = -1; // listening, non-blocking
    unix_socket_file file;
};

/// Nobody can connect who has not the rights of `mode`, not even for a moment. A socket that is there already and that
/// nobody answers on is removed. Throws std::runtime_error that names the path and what is wrong.
unix_listener open_unix_listener(const std::string& path, unsigned mode);

} // namespace fb::net
