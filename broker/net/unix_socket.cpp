#include "broker/net/unix_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace fb::net {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& what) {
    throw std::runtime_error("cannot listen on unix://" + path + ": " + what);
}

class descriptor_guard {
  public:
    explicit descriptor_guard(int fd)
        : fd_(fd) {}
    ~descriptor_guard() {
        if (fd_ >= 0) ::close(fd_);
    }
    descriptor_guard(const descriptor_guard&) = delete;
    descriptor_guard& operator=(const descriptor_guard&) = delete;
    int get() const noexcept { return fd_; }
    int release() noexcept { return std::exchange(fd_, -1); }

  private:
    int fd_;
};

int new_socket(const std::string& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fail(path, std::strerror(errno));
    return fd;
}

sockaddr_un address_of(const std::string& path) {
    sockaddr_un out{};
    out.sun_family = AF_UNIX;
    if (path.size() >= sizeof out.sun_path)
        fail(path, "the path is longer than " + std::to_string(sizeof out.sun_path - 1) + " bytes");
    std::copy(path.begin(), path.end(), out.sun_path);
    return out;
}

void remove_if_stale(const std::string& path, const sockaddr_un& at) {
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0) return; // bind() says what else may be wrong
    if (!S_ISSOCK(found.st_mode)) fail(path, "something is there that is no socket");
    const descriptor_guard probe(new_socket(path));
    const bool answers = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
    if (answers || errno == EAGAIN) fail(path, "the socket is in use (is another broker running?)");
    if (errno != ECONNREFUSED) fail(path, std::strerror(errno));
    ::unlink(path.c_str());
}

} // namespace

unix_socket_file::~unix_socket_file() {
    struct stat found {};
    if (path_.empty() || ::lstat(path_.c_str(), &found) != 0) return;
    if (found.st_dev == device_ && found.st_ino == inode_) ::unlink(path_.c_str());
}

unix_listener open_unix_listener(const std::string& path, unsigned mode) {
    const sockaddr_un at = address_of(path);
    remove_if_stale(path, at);
    descriptor_guard fd(new_socket(path));
    ::fchmod(fd.get(), mode); // bind() makes the file with these rights, less the umask's
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) fail(path, std::strerror(errno));
    struct stat made {};
    if (::lstat(path.c_str(), &made) != 0) fail(path, std::strerror(errno));
    unix_socket_file file(path, made.st_dev, made.st_ino); // from here on removed when something fails
    if (::chmod(path.c_str(), mode) != 0 || ::listen(fd.get(), 4096) != 0) fail(path, std::strerror(errno));
    return {fd.release(), std::move(file)};
}

} // namespace fb::net
