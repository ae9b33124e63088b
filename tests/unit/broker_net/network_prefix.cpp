// Which addresses a network holds, and what is no network.
#include "broker/net/network_prefix.hpp"

#include <doctest/doctest.h>

using fb::net::network_prefix;

namespace {

bool holds(const char* network, const char* address) {
    const auto p = network_prefix::parse(network);
    REQUIRE(p);
    return p->contains(address);
}

} // namespace

TEST_CASE("an address is in a network when the bits of its prefix are the same") {
    CHECK(holds("10.0.0.0/8", "10.255.0.1"));
    CHECK_FALSE(holds("10.0.0.0/8", "11.0.0.1"));
    CHECK(holds("192.168.1.128/25", "192.168.1.200"));
    CHECK_FALSE(holds("192.168.1.128/25", "192.168.1.127"));
    CHECK(holds("127.0.0.1", "127.0.0.1"));
    CHECK_FALSE(holds("127.0.0.1", "127.0.0.2"));
    CHECK(holds("0.0.0.0/0", "8.8.8.8"));
    CHECK_FALSE(holds("0.0.0.0/0", "::1"));
    CHECK(holds("fd00::/8", "fd12::1"));
    CHECK_FALSE(holds("fd00::/8", "fe80::1"));
    CHECK(holds("::/0", "1.2.3.4"));
    CHECK(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
    CHECK_FALSE(holds("10.0.0.0/8", "unix:1000"));
    CHECK_FALSE(holds("::/0", ""));
}

TEST_CASE("what is no network is refused") {
    for (const char* wrong : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "fd00::/129", "10.0.0.0/8x", "10.0.0.0/-1", "ten",
                              "10.0.0.1/8", "10.0.0/8", "localhost"}) {
        CAPTURE(wrong);
        CHECK_FALSE(network_prefix::parse(wrong));
    }
}
