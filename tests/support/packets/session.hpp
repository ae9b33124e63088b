// PINGREQ, PINGRESP, DISCONNECT and AUTH. Part of support/packets.hpp, which explains the notation.
#pragma once

#include "tests/support/packets.hpp"

namespace fb::test {

inline std::vector<named_packet> session_packets() {
    using enum proto::version;
    using enum proto::reason_code;
    constexpr auto client = sender::client;
    constexpr auto server = sender::server;
    constexpr auto different = round_trip::different;
    return {
        {"PINGREQ", v5, 0xc0, ""},
        {"PINGRESP", v3_1_1, 0xd0, "", decodes, server},
        {"PINGREQ flags", v5, 0xc1, "", {malformed_packet, "v5[MQTT-2.1.3-1]"}},
        {"PINGREQ with a body", v5, 0xc0, "00", {malformed_packet, "v5 3.12.1"}},
        {"PINGRESP flags", v5, 0xdf, "", {malformed_packet, "v5[MQTT-2.1.3-1]"}, server},
        {"PINGRESP with a body", v5, 0xd0, "00", {malformed_packet, "v5 3.13.1"}, server},

        {"DISCONNECT v5 of no bytes", v5, 0xe0, ""},
        {"DISCONNECT v5 of one byte", v5, 0xe0, "04"},
        {"DISCONNECT v5 with everything", v5, 0xe0, "9c [11 0000003c 1c <other> 1f <go> 26 <a> <b>]", decodes, server},
        {"DISCONNECT v5 normal with an expiry", v5, 0xe0, "00 [11 00000000]"},
        {"DISCONNECT v5 normal spelt out", v5, 0xe0, "00", decodes, client, different},
        {"DISCONNECT v5 with an empty block", v5, 0xe0, "04 []", decodes, client, different},
        {"DISCONNECT v3.1.1", v3_1_1, 0xe0, ""},
        {"DISCONNECT v5 flags", v5, 0xe2, "", {malformed_packet, "v5[MQTT-3.14.1-1]"}},
        {"DISCONNECT v5 reason of a SUBACK", v5, 0xe0, "01", {protocol_error, "v5[MQTT-3.14.2-1]"}},
        {"DISCONNECT v5 property of a CONNECT", v5, 0xe0, "00 [21 0001]", {malformed_packet, "v5 2.2.2.2"}},
        {"DISCONNECT v5 expiry twice", v5, 0xe0, "00 [11 00000001 11 00000001]", {protocol_error, "v5 3.14.2.2"}},
        {"DISCONNECT v5 bytes left over", v5, 0xe0, "00 [] 00", {malformed_packet, "v5 2.1.4"}},
        {"DISCONNECT v3.1.1 flags", v3_1_1, 0xe1, "", {malformed_packet, "v311[MQTT-3.14.1-1]"}},
        {"DISCONNECT v3.1.1 with a reason", v3_1_1, 0xe0, "00", {malformed_packet, "v311 3.14.1"}},

        {"AUTH v5 of no bytes", v5, 0xf0, ""},
        {"AUTH v5 with everything", v5, 0xf0, "18 [15 <SCRAM> 16 <data> 1f <next> 26 <a> <b>]"},
        {"AUTH v5 again", v5, 0xf0, "19 [15 <SCRAM>]"},
        {"AUTH v5 success spelt out", v5, 0xf0, "00 []", decodes, client, different},
        {"AUTH v5 flags", v5, 0xf1, "", {malformed_packet, "v5[MQTT-3.15.1-1]"}},
        {"AUTH v5 unknown reason", v5, 0xf0, "80 []", {protocol_error, "v5[MQTT-3.15.2-1]"}},
        {"AUTH v5 without properties", v5, 0xf0, "18", {malformed_packet, "v5[MQTT-2.2.2-1]"}},
        {"AUTH v5 without a method", v5, 0xf0, "18 [16 <data>]", {protocol_error, "v5 3.15.2.2.2"}},
        {"AUTH v5 method twice", v5, 0xf0, "18 [15 <a> 15 <a>]", {protocol_error, "v5 3.15.2.2"}},
        {"AUTH in v3.1.1", v3_1_1, 0xf0, "", {malformed_packet, "v311 2.2.1"}},
    };
}

} // namespace fb::test
