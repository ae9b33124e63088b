// Every value of the reason code byte in every packet that has one. The lists are those of the standard's tables.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/any_packet.hpp"
#include "tests/support/packets.hpp"

using namespace fb::proto;
using namespace fb::test;

namespace {

struct reason_row {
    std::string name;
    version protocol;
    std::uint8_t first_byte;
    std::string before; // in the notation of the packet table, as the rest
    std::string after;
    std::string allowed;
};

const reason_row rows[]{
    {"v5[MQTT-3.2.2-8] CONNACK", version::v5, 0x20, "00", "[]",
     "00 80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f"},
    {"v5[MQTT-3.4.2-1] PUBACK", version::v5, 0x40, "0001", "", "00 10 80 83 87 90 91 97 99"},
    {"v5[MQTT-3.5.2-1] PUBREC", version::v5, 0x50, "0001", "", "00 10 80 83 87 90 91 97 99"},
    {"v5[MQTT-3.6.2-1] PUBREL", version::v5, 0x62, "0001", "", "00 92"},
    {"v5[MQTT-3.7.2-1] PUBCOMP", version::v5, 0x70, "0001", "", "00 92"},
    {"v5[MQTT-3.9.3-2] SUBACK", version::v5, 0x90, "0001 []", "", "00 01 02 80 83 87 8f 91 97 9e a1 a2"},
    {"v5[MQTT-3.11.3-2] UNSUBACK", version::v5, 0xb0, "0001 []", "", "00 11 80 83 87 8f 91"},
    {"v5[MQTT-3.14.2-1] DISCONNECT", version::v5, 0xe0, "", "",
     "00 04 80 81 82 83 87 89 8b 8d 8e 8f 90 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f a0 a1 a2"},
    {"v5[MQTT-3.15.2-1] AUTH", version::v5, 0xf0, "", "[15 <m>]", "00 18 19"},
    {"v311 3.2.2.3 CONNACK", version::v3_1_1, 0x20, "00", "", "00 01 02 03 04 05"},
    {"v311[MQTT-3.9.3-2] SUBACK", version::v3_1_1, 0x90, "0001", "", "00 01 02 80"},
};

} // namespace

TEST_CASE("each packet takes the reason codes of its table and no others") {
    for (const auto& row : rows) {
        const auto allowed = render(row.allowed);
        for (unsigned code = 0; code < 256; ++code) {
            const char byte = static_cast<char>(code);
            CAPTURE(row.name);
            CAPTURE(code);
            const auto bytes = packet_bytes(row.first_byte, render(row.before) + byte + render(row.after));
            const auto decoded = decode_one(bytes, row.protocol, false);
            REQUIRE(decoded.has_value() == (std::count(allowed.begin(), allowed.end(), byte) == 1));
            if (!decoded) CHECK(decoded.error().reason == reason_code::protocol_error);
        }
    }
}
