// What a shard is told of its connections' descriptors, and that it is told once.
#include "broker/net/readiness.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

using fb::net::readiness;

namespace {

struct socket_pair {
    int ours = -1;
    int theirs = -1;
    socket_pair() {
        std::array<int, 2> fds{};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()) == 0);
        ours = fds[0];
        theirs = fds[1];
    }
    ~socket_pair() {
        ::close(ours);
        if (theirs >= 0) ::close(theirs);
    }
    void say(const std::string& what) { REQUIRE(::send(theirs, what.data(), what.size(), 0) > 0); }
    void hang_up() { ::close(std::exchange(theirs, -1)); }
};

std::string told(readiness& r) {
    std::string all;
    for (const auto& e : r.ready()) {
        all += std::to_string(e.key) + (e.readable ? " readable" : "") + (e.writable ? " writable" : "") +
               (e.ended ? " ended" : "") + ";";
    }
    return all;
}

} // namespace

TEST_CASE("bytes are told of once, whether they are read or not, and so are more of them") {
    readiness r;
    socket_pair a;
    REQUIRE(r.add(a.ours, 7));
    CHECK(told(r) == "");
    a.say("x");
    CHECK(told(r) == "7 readable;");
    CHECK(told(r) == "");
    a.say("y");
    CHECK(told(r) == "7 readable;");
}

TEST_CASE("what was there before is told at once") {
    readiness r;
    socket_pair a;
    a.say("x");
    REQUIRE(r.add(a.ours, std::uint64_t{1} << 40));
    CHECK(told(r) == "1099511627776 readable;");
}

TEST_CASE("an end comes with what can still be read") {
    readiness r;
    socket_pair a;
    REQUIRE(r.add(a.ours, 1));
    a.say("x");
    a.hang_up();
    CHECK(told(r) == "1 readable writable ended;");
    CHECK(told(r) == "");
}

TEST_CASE("room to write is told of when somebody waits for it") {
    readiness r;
    socket_pair a;
    REQUIRE(r.add(a.ours, 1));
    const std::string much(1 << 16, 'x');
    while (::send(a.ours, much.data(), much.size(), 0) > 0) {
    }
    r.await_room(a.ours, 1);
    CHECK(told(r) == "");
    std::string taken(1 << 16, ' ');
    while (::recv(a.theirs, taken.data(), taken.size(), 0) > 0) {
    }
    CHECK(told(r) == "1 writable;");
}

TEST_CASE("nothing is told of a descriptor that was removed or closed") {
    readiness r;
    socket_pair a;
    REQUIRE(r.add(a.ours, 1));
    a.say("x");
    r.remove(a.ours);
    CHECK(told(r) == "");
    {
        socket_pair c;
        REQUIRE(r.add(c.ours, 2));
        c.say("x");
    }
    CHECK(told(r) == "");
    CHECK_FALSE(r.add(-1, 3));
}

TEST_CASE("more events than one call tells come with the next") {
    readiness r;
    std::array<socket_pair, 300> many;
    std::uint64_t key = 0;
    for (auto& x : many) {
        REQUIRE(r.add(x.ours, ++key));
        x.say("x");
    }
    CHECK(r.ready().size() == 256);
    CHECK(r.ready().size() == 44);
}
