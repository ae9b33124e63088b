#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/net/listen_socket.hpp"

using fb::net::open_listener;

namespace {

std::string complaint(const std::string& host, std::uint16_t port) {
    try {
        ::close(open_listener(host, port, true));
        return "";
    } catch (const std::runtime_error& e) {
        return e.what();
    }
}

} // namespace

TEST_CASE("port 0 becomes a real one, which further shards share") {
    std::uint16_t port = 0;
    const int first = open_listener("127.0.0.1", port, true);
    CHECK(port != 0);
    const int second = open_listener("127.0.0.1", port, false);
    CHECK(second >= 0);
    ::close(second);
    ::close(first);
}

TEST_CASE("a port that another process shares with SO_REUSEPORT counts as in use") {
    std::uint16_t port = 0;
    int tell[2], done[2];
    REQUIRE(::pipe(tell) == 0);
    REQUIRE(::pipe(done) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
        open_listener("127.0.0.1", port, false);
        char c = 0;
        if (::write(tell[1], &port, sizeof port) != sizeof port || ::read(done[0], &c, 1) < 0) ::_exit(1);
        ::_exit(0);
    }
    REQUIRE(::read(tell[0], &port, sizeof port) == sizeof port);
    const std::string text = complaint("127.0.0.1", port);
    CHECK(text.find("127.0.0.1:" + std::to_string(port)) != std::string::npos);
    CHECK(text.find("is another broker running?") != std::string::npos);
    CHECK(::write(done[1], "x", 1) == 1);
    ::waitpid(child, nullptr, 0);
    for (int fd : {tell[0], tell[1], done[0], done[1]}) ::close(fd);
}

TEST_CASE("a host that is no address of this machine is named") {
    CHECK(complaint("192.0.2.1", 1883).find("192.0.2.1:1883 is no address of this machine") != std::string::npos);
}

TEST_CASE("a host that does not resolve is named") {
    CHECK(complaint("no-such-host.invalid", 1883).find("no-such-host.invalid:1883: the address cannot be resolved") !=
          std::string::npos);
}
