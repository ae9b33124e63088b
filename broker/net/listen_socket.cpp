#include "broker/net/listen_socket.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdexcept>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fb::net {
namespace {

[[noreturn]] void fail(const std::string& where, const std::string& what) {
    throw std::runtime_error("cannot listen on " + where + ": " + what);
}

std::string explain(int error, const std::string& where) {
    std::string text = std::strerror(error);
    if (error == EADDRINUSE) text += " (is another broker running? `ss -ltnp` shows who holds it)";
    if (error == EACCES) text += " (ports below 1024 need CAP_NET_BIND_SERVICE)";
    if (error == EADDRNOTAVAIL) text += " (" + where + " is no address of this machine)";
    return text;
}

/// -1 and errno when it cannot be.
int bound_socket(const addrinfo& at, bool reuse_port) {
    const int fd = ::socket(at.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (reuse_port) ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (at.ai_family == AF_INET6) {
        const int off = 0; // "::" serves IPv4 too
        ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    }
    if (::bind(fd, at.ai_addr, at.ai_addrlen) != 0) {
        const int error = errno;
        ::close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

/// A name may stand for addresses this machine has not got ("localhost" is ::1 first): the first that works is taken.
int bind_one_of(const addrinfo* found, bool probe, const std::string& where) {
    int error = 0;
    for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
        int fd = probe ? bound_socket(*at, false) : -1;
        if (fd >= 0) ::close(fd);
        if (!probe || fd >= 0) fd = bound_socket(*at, true);
        if (fd >= 0) return fd;
        if (error == 0) error = errno;
        if (errno != EADDRNOTAVAIL && errno != EAFNOSUPPORT) break;
    }
    fail(where, explain(error, where));
}

std::uint16_t port_of(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                               : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

} // namespace

int open_listener(const std::string& host, std::uint16_t& port, bool probe) {
    const std::string where =
        (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(port);
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (const int e = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); e != 0) {
        fail(where, std::string("the address cannot be resolved: ") + ::gai_strerror(e));
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, ::freeaddrinfo);
    const int fd = bind_one_of(found, probe && port != 0, where);
    if (::listen(fd, 4096) != 0) {
        const int error = errno;
        ::close(fd);
        fail(where, explain(error, where));
    }
    port = port_of(fd);
    return fd;
}

std::string peer_address(int fd) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
    char text[INET6_ADDRSTRLEN] = "";
    if (address.ss_family == AF_INET) {
        ::inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in&>(address).sin_addr, text, sizeof text);
    } else if (address.ss_family == AF_INET6) {
        const in6_addr& a = reinterpret_cast<sockaddr_in6&>(address).sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&a))
            ::inet_ntop(AF_INET, a.s6_addr + 12, text, sizeof text);
        else
            ::inet_ntop(AF_INET6, &a, text, sizeof text);
    } else if (address.ss_family == AF_UNIX) {
        ucred peer{};
        socklen_t peer_size = sizeof peer;
        if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_size) != 0) return "unix";
        return "unix:" + std::to_string(peer.uid);
    }
    return text;
}

std::uint64_t raise_file_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    const rlimit raised{limit.rlim_max, limit.rlim_max};
    return ::setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}

} // namespace fb::net
