// URLs, HTTP heads and the window of chunks.
#include <doctest/doctest.h>

#include "bench/fleet/chunk_source.hpp"
#include "bench/fleet/http_source.hpp"
#include "bench/fleet/url.hpp"

using namespace fb::fleet;

TEST_CASE("a URL is split into scheme, host, port and target") {
    const auto u = parse_url("https://gw.example:8443/fw/1/a.bin?u=1&s=x");
    REQUIRE(u);
    CHECK(u->host == "gw.example");
    CHECK(u->port == 8443);
    CHECK(u->target == "/fw/1/a.bin?u=1&s=x");
    CHECK(u->secure());
    CHECK(parse_url("mqtt://h")->port == 1883);
    CHECK(parse_url("mqtts://h")->port == 8883);
    CHECK(parse_url("http://h")->target == "/");
    CHECK(parse_url("mqtts://[::1]:99")->host == "::1");
}

TEST_CASE("what is no URL of ours is refused") {
    for (const char* text : {"", "https://", "ftp://h/", "https://h:0/", "https://h:65536/", "https://h:x/", "h:1",
                             "https://u@h/", "https://[::1/", "https://h/a b", "https://h/\r\nX: y"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_url(text));
    }
}

TEST_CASE("an HTTP head gives status, length, range and tag, whatever the case of its names") {
    const auto head = parse_http_head("HTTP/1.1 206 Partial Content\r\ncontent-length:  90 \r\n"
                                      "CONTENT-RANGE: bytes 10-99/100\r\nETag: \"abc\"");
    REQUIRE(head);
    CHECK(head->status == 206);
    CHECK(head->content_bytes == 90);
    CHECK(head->range_start == 10);
    CHECK(head->etag == "\"abc\"");
}

TEST_CASE("a head that is not HTTP is refused, missing fields stay empty") {
    CHECK_FALSE(parse_http_head(""));
    CHECK_FALSE(parse_http_head("SSH-2.0-x"));
    CHECK_FALSE(parse_http_head("HTTP/1.1 abc"));
    CHECK_FALSE(parse_http_head("HTTP/1.1 99 Low"));
    const auto bare = parse_http_head("HTTP/1.1 200 OK\r\nContent-Range: lines 1-2/3\r\nnonsense");
    REQUIRE(bare);
    CHECK_FALSE(bare->content_bytes);
    CHECK_FALSE(bare->range_start);
}

using request = chunk_window::request;
using verdict = chunk_window::verdict;

TEST_CASE("the window asks for eight chunks, then again when half of them are here") {
    chunk_window w(0, 100 * 1000, 1000);
    CHECK(w.ask() == request{0, 8});
    for (std::uint64_t i = 0; i < 3; ++i) {
        CHECK(w.take(i * 1000, 1000) == verdict::next);
        CHECK(w.ask().count == 0);
    }
    CHECK(w.take(3000, 1000) == verdict::next);
    CHECK(w.ask() == request{8000, 4});
}

TEST_CASE("the window holds no more than 64 KiB") {
    chunk_window two(0, 1'000'000, 32 * 1024);
    CHECK(two.ask() == request{0, 2});
    CHECK(two.take(0, 32 * 1024) == verdict::next);
    CHECK(two.ask() == request{2 * 32 * 1024, 1});
    chunk_window one(0, 1'000'000, 64 * 1024);
    CHECK(one.ask() == request{0, 1});
    CHECK(one.ask().count == 0);
    CHECK(one.take(0, 64 * 1024) == verdict::next);
    CHECK(one.ask() == request{64 * 1024, 1});
}

TEST_CASE("the window asks for no byte past the end") {
    chunk_window w(1000, 2500, 1000);
    CHECK(w.ask() == request{1000, 2});
    CHECK(w.take(1000, 1000) == verdict::next);
    CHECK(w.ask().count == 0);
    CHECK(w.take(2000, 500) == verdict::next);
    CHECK(w.at_end());
}

TEST_CASE("a lost chunk is one gap, and everything after it is asked for again") {
    chunk_window w(0, 100'000, 1000);
    w.ask();
    CHECK(w.take(1000, 1000) == verdict::gap);
    CHECK(w.take(2000, 1000) == verdict::old);
    w.forget_requests();
    CHECK(w.ask() == request{0, 8});
    CHECK(w.take(0, 1000) == verdict::next);
    CHECK(w.take(0, 1000) == verdict::old);
    CHECK(w.take(2000, 1000) == verdict::gap);
}

TEST_CASE("without a known size an empty chunk is the end") {
    chunk_window w(0, 0, 1000);
    CHECK(w.ask() == request{0, 8});
    CHECK(w.take(0, 400) == verdict::next);
    CHECK_FALSE(w.at_end());
    CHECK(w.take(400, 0) == verdict::next);
    CHECK(w.at_end());
}

TEST_CASE("a chunk nobody asked for is dropped") {
    chunk_window w(0, 5000, 1000);
    CHECK(w.take(0, 1000) == verdict::old);
    CHECK(w.offset() == 0);
}
