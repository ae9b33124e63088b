// Framing and the variable byte integer: byte by byte, at every boundary, and in every form that is not allowed.
#include <doctest/doctest.h>

#include "proto/cursor.hpp"
#include "proto/frame.hpp"
#include "proto/writer.hpp"
#include "tests/support/any_packet.hpp"
#include "tests/support/packets.hpp"

using namespace fb::proto;
using namespace fb::test;
using namespace std::string_literals;

namespace {

struct varint_row {
    std::uint32_t value;
    std::string bytes;
};

const std::vector<varint_row>& varint_boundaries() {
    static const std::vector<varint_row> rows{
        {0, "\x00"s},
        {1, "\x01"s},
        {127, "\x7f"s},
        {128, "\x80\x01"s},
        {16'383, "\xff\x7f"s},
        {16'384, "\x80\x80\x01"s},
        {2'097'151, "\xff\xff\x7f"s},
        {2'097'152, "\x80\x80\x80\x01"s},
        {varint_max, "\xff\xff\xff\x7f"s},
    };
    return rows;
}

const std::vector<std::string>& bad_varints() {
    static const std::vector<std::string> rows{
        "\x80\x00"s,         "\xff\x00"s,         "\x80\x80\x00"s,     "\xff\xff\x00"s,
        "\x80\x80\x80\x00"s, "\x80\x80\x80\x80"s, "\xff\xff\xff\xff"s, "\x80\x80\x80\x80\x01"s,
    };
    return rows;
}

} // namespace

TEST_CASE("v5[MQTT-1.5.5-1] a variable byte integer is read and written in its shortest form at every boundary") {
    for (const auto& row : varint_boundaries()) {
        CAPTURE(row.value);
        cursor in(row.bytes, version::v5);
        CHECK(in.varint() == row.value);
        CHECK(in.ok());
        CHECK(in.at_end());
        char out[8];
        byte_writer writer(out);
        writer.varint(row.value);
        CHECK(std::string(out, writer.position()) == row.bytes);
        CHECK(varint_size(row.value) == row.bytes.size());
    }
}

TEST_CASE("v5[MQTT-1.5.5-1] a variable byte integer that is too long or cut off is malformed") {
    for (const auto& bytes : bad_varints()) {
        CAPTURE(hex(bytes));
        cursor in(bytes, version::v5);
        CHECK(in.varint() == 0);
        CHECK_FALSE(in.ok());
    }
    for (const auto& row : varint_boundaries()) {
        for (std::size_t size = 0; size < row.bytes.size(); ++size) {
            cursor in(std::string_view(row.bytes).substr(0, size), version::v5);
            CHECK(in.varint() == 0);
            CHECK_FALSE(in.ok());
        }
    }
}

TEST_CASE("v5[MQTT-1.5.5-1] the remaining length is known as soon as its last byte is there") {
    for (const auto& row : varint_boundaries()) {
        CAPTURE(row.value);
        const auto header = "\x30"s + row.bytes;
        for (std::size_t size = 0; size < header.size(); ++size) {
            const auto f = next_frame(std::string_view(header).substr(0, size), no_size_limit);
            REQUIRE(f.has_value());
            CHECK_FALSE(f->complete());
            CHECK(f->needed == 0);
        }
        const auto f = next_frame(header, no_size_limit);
        REQUIRE(f.has_value());
        if (row.value == 0)
            CHECK(f->size == 2);
        else
            CHECK(f->needed == header.size() + row.value);
    }
}

TEST_CASE("a remaining length that is too long is malformed before the body is there") {
    for (const auto& bytes : bad_varints()) {
        CAPTURE(hex(bytes));
        const auto f = next_frame("\x30"s + bytes, no_size_limit);
        REQUIRE_FALSE(f.has_value());
        CHECK(f.error().reason == reason_code::malformed_packet);
    }
}

TEST_CASE("packet type 0 is malformed from its first byte on") {
    for (const char flags : {'\x00', '\x01', '\x0f'}) {
        const auto f = next_frame(std::string_view(&flags, 1), no_size_limit);
        REQUIRE_FALSE(f.has_value());
        CHECK(f.error().reason == reason_code::malformed_packet);
        CHECK(f.error().statement == "v5 2.1.2"s);
    }
}

TEST_CASE("v5[MQTT-3.2.2-15] a packet above the limit is refused by its fixed header alone") {
    const auto packet = packet_bytes(0x30, std::string(98, 'x'));
    REQUIRE(packet.size() == 100);
    CHECK(next_frame(packet, 100)->complete());
    CHECK_FALSE(next_frame(packet, 99).has_value());
    const auto f = next_frame(std::string_view(packet).substr(0, 2), 99);
    REQUIRE_FALSE(f.has_value());
    CHECK(f.error().reason == reason_code::packet_too_large);
    CHECK_FALSE(next_frame("\x30\xff\xff\xff\x7f"s, varint_max).has_value());
    CHECK(next_frame("\x30\xff\xff\xff\x7f"s, no_size_limit).has_value());
}

TEST_CASE("packets that follow each other are framed one by one however the bytes arrive") {
    std::string stream;
    std::vector<std::string> packets;
    for (const auto& p : named_packets()) {
        packets.push_back(p.bytes());
        stream += packets.back();
    }
    std::string arrived;
    std::size_t framed = 0;
    for (const char byte : stream) {
        arrived += byte;
        const auto f = next_frame(arrived, no_size_limit);
        REQUIRE(f.has_value());
        if (!f->complete()) continue;
        REQUIRE(framed < packets.size());
        CHECK(hex(arrived) == hex(packets[framed]));
        CHECK(f->size == arrived.size());
        CHECK(static_cast<std::uint8_t>(arrived[0]) == (static_cast<unsigned>(f->type) << 4 | f->flags));
        ++framed;
        arrived.clear();
    }
    CHECK(framed == packets.size());
    CHECK(arrived.empty());
}

TEST_CASE("bytes after the packet do not belong to it") {
    const auto f = next_frame("\xc0\x00\xc0\x00"s, no_size_limit);
    REQUIRE(f.has_value());
    CHECK(f->size == 2);
    CHECK(f->body.empty());
    CHECK(f->type == packet_type::pingreq);
}
