// Every property in every packet: allowed, forbidden, given twice, cut off. The table here is written from the
// standard's table 2-4, independently of the decoder's.
#include <doctest/doctest.h>

#include <algorithm>
#include <string_view>

#include "tests/support/any_packet.hpp"
#include "tests/support/packets.hpp"

using namespace fb::proto;
using namespace fb::test;

namespace {

struct property_row {
    std::string sample; // in the notation of the packet table
    const char* places; // a letter per place_row
};

const property_row properties[]{
    {"01 01", "pw"},
    {"02 00000001", "pw"},
    {"03 <text>", "pw"},
    {"08 <reply>", "pw"},
    {"09 <data>", "pw"},
    {"0b 01", "ps"},
    {"11 00000001", "ckd"},
    {"12 <id>", "k"},
    {"13 0001", "k"},
    {"15 <name>", "cku"},
    {"16 <data>", "cku"},
    {"17 01", "c"},
    {"18 00000001", "w"},
    {"19 01", "c"},
    {"1a <info>", "k"},
    {"1c <host>", "kd"},
    {"1f <words>", "k1234ABdu"},
    {"21 0001", "ck"},
    {"22 0001", "ck"},
    {"23 0001", "p"},
    {"24 01", "k"},
    {"25 01", "k"},
    {"26 <name> <value>", "ckpw1234sAxBdu"},
    {"27 00000001", "ck"},
    {"28 01", "k"},
    {"29 01", "k"},
    {"2a 01", "k"},
};

struct place_row {
    char letter;
    std::string name;
    std::uint8_t first_byte;
    const char* before; // the block
    const char* inside; // before the property, where the packet needs another one
    const char* after;
};

const place_row places[]{
    {'c', "CONNECT", 0x10, "<MQTT> 05 02 003c", "", "<c>"},
    {'w', "will", 0x10, "<MQTT> 05 06 003c 00 <c>", "", "<t> <x>"},
    {'k', "CONNACK", 0x20, "00 00", "", ""},
    {'p', "PUBLISH", 0x30, "<t>", "", "'x'"},
    {'1', "PUBACK", 0x40, "0001 00", "", ""},
    {'2', "PUBREC", 0x50, "0001 00", "", ""},
    {'3', "PUBREL", 0x62, "0001 00", "", ""},
    {'4', "PUBCOMP", 0x70, "0001 00", "", ""},
    {'s', "SUBSCRIBE", 0x82, "0001", "", "<t> 00"},
    {'A', "SUBACK", 0x90, "0001", "", "00"},
    {'x', "UNSUBSCRIBE", 0xa2, "0001", "", "<t>"},
    {'B', "UNSUBACK", 0xb0, "0001", "", "00"},
    {'d', "DISCONNECT", 0xe0, "00", "", ""},
    {'u', "AUTH", 0xf0, "18", "15 <m>", ""},
};

unsigned id_of(const property_row& p) { return static_cast<unsigned char>(render(p.sample)[0]); }

bool allowed(const property_row& p, const place_row& where) {
    return std::string_view(p.places).find(where.letter) != std::string_view::npos;
}

result<packet> decode_with_block(const place_row& where, const std::string& block) {
    std::string body = render(where.before);
    append_varint(body, block.size());
    body += block + render(where.after);
    const auto bytes = packet_bytes(where.first_byte, body);
    auto decoded = decode_one(bytes, version::v5, false);
    if (!decoded) return decoded.error();
    return packet(pingreq{}); // the views would dangle; only success is of interest
}

// What must stand beside a property so that the packet is otherwise right.
std::string companions(const place_row& where, unsigned id) {
    if (where.letter == 'c' && id == 0x16) return render("15 <m>"); // data needs a method
    return id == 0x15 ? "" : render(where.inside);
}

} // namespace

TEST_CASE("v5 2.2.2.2 each property is accepted in the packets that may carry it and malformed in all others") {
    for (const auto& where : places) {
        for (const auto& p : properties) {
            CAPTURE(where.name);
            CAPTURE(p.sample);
            const auto decoded = decode_with_block(where, companions(where, id_of(p)) + render(p.sample));
            REQUIRE(decoded.has_value() == allowed(p, where));
            if (decoded) continue;
            CHECK(decoded.error().reason == reason_code::malformed_packet);
            CHECK(std::string_view(decoded.error().statement) == "v5 2.2.2.2");
        }
    }
}

TEST_CASE("a property given twice is a protocol error, but for user properties and a PUBLISH's subscription ids") {
    for (const auto& where : places) {
        for (const auto& p : properties) {
            if (!allowed(p, where)) continue;
            CAPTURE(where.name);
            CAPTURE(p.sample);
            const auto twice = render(p.sample) + render(p.sample);
            const auto decoded = decode_with_block(where, companions(where, id_of(p)) + twice);
            const bool many = id_of(p) == 0x26 || (id_of(p) == 0x0b && where.letter == 'p');
            REQUIRE(decoded.has_value() == many);
            if (!decoded) CHECK(decoded.error().reason == reason_code::protocol_error);
        }
    }
}

TEST_CASE("a property cut off by the end of its block is malformed") {
    for (const auto& where : places) {
        for (const auto& p : properties) {
            if (!allowed(p, where)) continue;
            CAPTURE(where.name);
            CAPTURE(p.sample);
            const auto whole = render(p.sample);
            for (std::size_t size = 1; size < whole.size(); ++size) {
                const auto decoded = decode_with_block(where, companions(where, id_of(p)) + whole.substr(0, size));
                REQUIRE_FALSE(decoded.has_value());
                CHECK(decoded.error().reason == reason_code::malformed_packet);
            }
        }
    }
}

TEST_CASE("ids that no property has are malformed everywhere") {
    for (const auto& where : places) {
        for (unsigned id = 0; id < 128; ++id) {
            const bool known = std::any_of(std::begin(properties), std::end(properties),
                                           [id](const auto& p) { return id_of(p) == id; });
            if (known) continue;
            CAPTURE(where.name);
            CAPTURE(id);
            CHECK_FALSE(
                decode_with_block(where, std::string(1, static_cast<char>(id)) + std::string(8, '\0')).has_value());
        }
    }
}

TEST_CASE("user properties keep their order, decoded ones before added ones") {
    const auto bytes = packet_bytes(0x30, render("<t> [26 <b> <1> 03 <text> 26 <a> <2> 26 <b> <3>] 'x'"));
    const auto decoded = decode_one(bytes, version::v5);
    REQUIRE(decoded.has_value());
    auto user = std::get<publish>(*decoded).properties.user;
    CHECK_FALSE(user.empty());
    CHECK(user.find("b") == "1");
    CHECK(user.find("c") == std::nullopt);
    user.add("c", "4");
    CHECK(user.find("c") == "4");
    const std::vector<user_properties::pair> expected{{"b", "1"}, {"a", "2"}, {"b", "3"}, {"c", "4"}};
    CHECK(user.to_vector() == expected);
}

TEST_CASE("a packet without user properties has none") {
    CHECK(user_properties().empty());
    CHECK(user_properties("").to_vector().empty());
    const auto bytes = packet_bytes(0x30, render("<t> [03 <text>] 'x'"));
    const auto decoded = decode_one(bytes, version::v5);
    REQUIRE(decoded.has_value());
    CHECK(std::get<publish>(*decoded).properties.user.empty());
    CHECK(std::get<publish>(*decoded).properties.block == render("03 <text>"));
}
