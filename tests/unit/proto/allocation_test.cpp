// The path of a PUBLISH and its acknowledgement does not touch the heap. Counts the calls of operator new in this
// program.
#include <doctest/doctest.h>

#include <cstdlib>
#include <new>

#include "proto/decode.hpp"
#include "proto/encode.hpp"
#include "tests/support/packets.hpp"

namespace {

std::size_t allocations = 0;

} // namespace

void* operator new(std::size_t size) {
    ++allocations;
    if (void* p = std::malloc(size)) return p;
    throw std::bad_alloc();
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }

using namespace fb::proto;
using namespace fb::test;

TEST_CASE("a PUBLISH and its acknowledgement are decoded and encoded without allocating") {
    for (const auto v : {version::v5, version::v3_1_1}) {
        const bool v5 = v == version::v5;
        const auto message =
            packet_bytes(0x32, render(v5 ? "<some/topic> 0001 [] 'hello'" : "<some/topic> 0001 'hello'"));
        const auto ack = packet_bytes(0x40, render("0001"));
        std::string out;
        out.reserve(1000);
        bool right = true;

        const auto before = allocations;
        const auto p = decode_publish(*next_frame(message, no_size_limit), v);
        right = right && p && encode(*p, v, out);
        const auto a = decode_puback(*next_frame(ack, no_size_limit), v);
        right = right && a && encode(*a, v, out);
        publish_head head{.topic = "some/topic", .quality = qos::at_least_once, .id = 1, .forward_block = {}};
        head.payload_size = 5;
        append_publish_head(head, v, out);
        const auto after = allocations;

        CHECK(right);
        CHECK(after == before);
        CHECK(out.starts_with(message + ack));
    }
}

TEST_CASE("decoding the properties of a client's PUBLISH does not allocate") {
    const auto message = packet_bytes(
        0x30, render("<t> [02 0000003c 23 0001 01 01 08 <reply/to> 09 <id> 03 <text> 26 <a> <1> 26 <a> <2>] 'x'"));
    const auto before = allocations;
    const auto p = decode_publish(*next_frame(message, no_size_limit), version::v5);
    const auto after = allocations;
    CHECK(p.has_value());
    CHECK(after == before);
}
