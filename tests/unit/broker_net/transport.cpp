#include <doctest/doctest.h>

#include <array>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/net/address_counts.hpp"
#include "broker/net/transport.hpp"

using namespace fb::net;

namespace {

struct two_ends {
    two_ends() {
        int fds[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
        here = transport(fds[0]);
        there = transport(fds[1]);
    }
    transport here, there;
};

std::array<char, 16 * 1024> scratch;

} // namespace

TEST_CASE("a transport that cannot send all says how much went, and wants to write when nothing goes") {
    two_ends pair;
    const std::string block(100'000, 'x');
    const std::array<std::string_view, 2> pieces{block, block};
    std::size_t sent = 0;
    tls_result r;
    while ((r = pair.here.write(pieces, scratch)).status == tls_status::ok) sent += r.bytes;
    CHECK(r.status == tls_status::want_write);
    CHECK(sent > 0);

    std::string read;
    std::array<char, 4096> buffer;
    while ((r = pair.there.read(buffer)).status == tls_status::ok) read.append(buffer.data(), r.bytes);
    CHECK(r.status == tls_status::want_read);
    CHECK(read.size() == sent);
    CHECK(pair.here.write(pieces, scratch).status == tls_status::ok);
}

TEST_CASE("pieces are sent in their order") {
    two_ends pair;
    const std::array<std::string_view, 3> pieces{"one ", "two ", "three"};
    CHECK(pair.here.write(pieces, scratch).bytes == 13);
    std::array<char, 100> buffer;
    const tls_result r = pair.there.read(buffer);
    CHECK(std::string_view(buffer.data(), r.bytes) == "one two three");
}

TEST_CASE("finish() ends our direction only; close() gives the descriptor back, once") {
    two_ends pair;
    pair.here.finish();
    std::array<char, 10> buffer;
    CHECK(pair.there.read(buffer).status == tls_status::closed);
    const std::array<std::string_view, 1> answer{"late"};
    CHECK(pair.there.write(answer, scratch).status == tls_status::ok);
    CHECK(pair.here.read(buffer).bytes == 4);

    const int fd = pair.here.fd();
    transport moved = std::move(pair.here);
    CHECK(pair.here.fd() == -1);
    pair.here.close();
    CHECK(::fcntl(fd, F_GETFD) >= 0);
    moved.close();
    CHECK(::fcntl(fd, F_GETFD) < 0);
}

TEST_CASE("writing to a peer that is gone is the end, and no signal") {
    two_ends pair;
    pair.there.close();
    const std::array<std::string_view, 1> piece{"x"};
    CHECK(pair.here.write(piece, scratch).status == tls_status::closed);
}

TEST_CASE("an address holds so many connections, and a place is free again when a lease ends") {
    address_counts counts(2);
    auto first = counts.enter("10.0.0.1");
    auto second = counts.enter("10.0.0.1");
    REQUIRE(first);
    REQUIRE(second);
    CHECK_FALSE(counts.enter("10.0.0.1"));
    CHECK(counts.enter("10.0.0.2"));
    address_lease moved = std::move(*first);
    first.reset();
    CHECK_FALSE(counts.enter("10.0.0.1"));
    moved = {};
    CHECK(counts.enter("10.0.0.1"));
    address_counts unlimited(0);
    CHECK(unlimited.enter("10.0.0.1"));
}
