// The PROXY protocol's header, versions 1 and 2: what is accepted, what is refused, and how much of the bytes it is.
#include <doctest/doctest.h>

#include "broker/net/proxy_header.hpp"

using namespace fb::net;
using namespace std::string_literals;
using state = proxy_header::state;

namespace {

const std::string v2 = "\r\n\r\n\0\r\nQUIT\n"s;
const std::string v4_addresses = "\xC0\xA8\x00\x0B\x0A\x00\x00\x01\xDC\x04\x07\x5B"s;
const std::string v6_addresses =
    "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01"s + "\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x02"s + "\xDC\x04\x07\x5B"s;

} // namespace

TEST_CASE("a PROXY header names the source; cut anywhere it is incomplete, and what follows is not touched") {
    struct row {
        std::string bytes, source;
    };
    const row rows[] = {
        {"PROXY TCP4 192.168.0.11 10.0.0.1 56324 1883\r\n", "192.168.0.11"},
        {"PROXY TCP6 2001:DB8::1 2001:db8::2 56324 1883\r\n", "2001:db8::1"},
        {"PROXY TCP6 ::ffff:10.1.2.3 ::1 0 65535\r\n", "10.1.2.3"},
        {"PROXY UNKNOWN\r\n", ""},
        {"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", ""},
        {v2 + "\x21\x11\0\x0C"s + v4_addresses, "192.168.0.11"},
        {v2 + "\x21\x21\0\x24"s + v6_addresses, "2001:db8::1"},
        {v2 + "\x21\x11\0\x11"s + v4_addresses + "\x04\0\x02xx"s, "192.168.0.11"}, // with a TLV
        {v2 + "\x21\x11\0\x0F"s + v4_addresses + "\x04\xFF\xFF", "192.168.0.11"},  // with a TLV that is none
        {v2 + "\x20\0\0\0"s, ""},                                                  // LOCAL
        {v2 + "\x20\x11\0\x03xyz"s, ""},
        {v2 + "\x21\0\0\0"s, ""}, // of no known family
        {v2 + "\x21\x31\0\xD8"s + std::string(216, 'u'), ""},
        {v2 + "\x21\x11\x04\0"s + v4_addresses + std::string(1024 - 12, 't'), "192.168.0.11"},
    };
    for (const row& r : rows) {
        CAPTURE(r.bytes);
        for (std::size_t size = 0; size < r.bytes.size(); ++size)
            CHECK(read_proxy_header(r.bytes.substr(0, size)).what == state::incomplete);
        for (const char* behind : {"", "\x10", "\r\n", "\x16\x03\x01"}) {
            const proxy_header h = read_proxy_header(r.bytes + behind);
            CHECK(h.what == state::complete);
            CHECK(h.size == r.bytes.size());
            CHECK(h.source == r.source);
        }
        CHECK(r.bytes.size() <= proxy_header_bytes_max);
    }
}

TEST_CASE("what is no PROXY header is refused") {
    const std::string rows[] = {
        "\x10",
        "GET / HTTP/1.1\r\n",
        "proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
        "PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
        "PROXY TCP5 1.2.3.4 1.2.3.4 1 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
        "PROXY TCP4 1.2.3.256 1.2.3.4 1 1\r\n",
        "PROXY TCP4 1.2.3.4\0 1.2.3.4 1 1\r\n"s,
        "PROXY TCP4 ::1 ::1 1 1\r\n",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n",
        "PROXY \r\n",
        "PROXY UNKNOWN" + std::string(94, ' '), // 107 bytes and no end
        "\r\n\r\n\0\r\nQUIX"s,
        v2 + "\x11\x11\0\x0C"s,   // version 1
        v2 + "\x22\x11\0\x0C"s,   // an unknown command
        v2 + "\x21\x41\0\x0C"s,   // an unknown family
        v2 + "\x21\x13\0\x0C"s,   // an unknown protocol
        v2 + "\x21\x11\0\x0B"s,   // too short for IPv4
        v2 + "\x21\x21\0\x23"s,   // for IPv6
        v2 + "\x21\x31\0\xD7"s,   // for Unix
        v2 + "\x21\x11\x04\x01"s, // too long
        v2 + "\x20\0\xFF\xFF"s,
    };
    for (const std::string& bytes : rows) {
        CAPTURE(bytes);
        const proxy_header h = read_proxy_header(bytes);
        CHECK(h.what == state::refused);
        CHECK(std::string(h.why) != "");
    }
}
