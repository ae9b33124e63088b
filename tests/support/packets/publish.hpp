// PUBLISH. Part of support/packets.hpp, which explains the notation.
#pragma once

#include "tests/support/packets.hpp"

namespace fb::test {

inline std::vector<named_packet> publish_packets() {
    using enum proto::version;
    using enum proto::reason_code;
    constexpr auto client = sender::client;
    constexpr auto server = sender::server;
    constexpr auto different = round_trip::different;
    return {
        {"PUBLISH v5 QoS 0", v5, 0x30, "<a/b> [] 'hello'"},
        {"PUBLISH v5 retained, empty", v5, 0x31, "<a/b> []"},
        {"PUBLISH v5 QoS 1", v5, 0x32, "<a/b> 000a [] 'hello'"},
        {"PUBLISH v5 QoS 2 again", v5, 0x3c, "<a/b> ffff [] 'hello'"},
        {"PUBLISH v5 by alias", v5, 0x30, "0000 [23 0003] 'x'"},
        {"PUBLISH v5 with every property of a client", v5, 0x30,
         "<t> [02 0000003c 23 0001 01 01 08 <reply/to> 09 <id> 03 <text/plain> 26 <a> <1> 26 <a> <2>] 'x'"},
        {"PUBLISH v5 with properties in another order", v5, 0x30, "<t> [26 <a> <1> 03 <c> 26 <b> <2> 02 00000001] 'x'",
         decodes, client, different},
        {"PUBLISH v5 to a $-topic", v5, 0x30, "<$SYS/x> [] 'x'"},
        {"PUBLISH v5 of server with identifiers", v5, 0x30, "<t> [0b 01 0b 8001 0b ffffff7f] 'x'", decodes, server},
        {"PUBLISH v5 topic with a byte order mark", v5, 0x30, "0004 efbbbf 61 [] 'x'"},
        {"PUBLISH v3.1.1 QoS 0", v3_1_1, 0x30, "<a/b> 'hello'"},
        {"PUBLISH v3.1.1 QoS 1 again, retained", v3_1_1, 0x3b, "<a/b> 0001 'hello'"},
        {"PUBLISH v3.1.1 QoS 2, empty", v3_1_1, 0x34, "<a/b> 0001"},
        {"PUBLISH v3.1 QoS 1", v3_1, 0x32, "<a> 0001 'x'"},

        {"PUBLISH v5 empty", v5, 0x30, "", {malformed_packet, "v5[MQTT-3.3.2-1]"}},
        {"PUBLISH v5 QoS 3", v5, 0x36, "<t> 0001 []", {malformed_packet, "v5[MQTT-3.3.1-4]"}},
        {"PUBLISH v5 DUP at QoS 0", v5, 0x38, "<t> []", {malformed_packet, "v5[MQTT-3.3.1-2]"}},
        {"PUBLISH v5 packet id 0", v5, 0x32, "<t> 0000 []", {protocol_error, "v5[MQTT-2.2.1-3]"}},
        {"PUBLISH v5 wildcard +", v5, 0x30, "<a/+> []", {malformed_packet, "v5[MQTT-3.3.2-2]"}},
        {"PUBLISH v5 wildcard #", v5, 0x30, "<#> []", {malformed_packet, "v5[MQTT-3.3.2-2]"}},
        {"PUBLISH v5 neither topic nor alias", v5, 0x30, "0000 [] 'x'", {protocol_error, "v5 3.3.2.1"}},
        {"PUBLISH v5 alias 0", v5, 0x30, "<t> [23 0000]", {topic_alias_invalid, "v5[MQTT-3.3.2-8]"}},
        {"PUBLISH v5 alias twice", v5, 0x30, "<t> [23 0001 23 0001]", {protocol_error, "v5 3.3.2.3"}},
        {"PUBLISH v5 payload format 2", v5, 0x30, "<t> [01 02]", {protocol_error, "v5 3.3.2.3.2"}},
        {"PUBLISH v5 response topic with a wildcard",
         v5,
         0x30,
         "<t> [08 <a/#>]",
         {protocol_error, "v5[MQTT-3.3.2-14]"}},
        {"PUBLISH v5 of client with an identifier", v5, 0x30, "<t> [0b 01]", {protocol_error, "v5[MQTT-3.3.4-6]"}},
        {"PUBLISH v5 identifier 0", v5, 0x30, "<t> [0b 00]", {protocol_error, "v5 3.8.2.1.2"}, server},
        {"PUBLISH v5 identifier of five bytes",
         v5,
         0x30,
         "<t> [0b 8080808001]",
         {malformed_packet, "v5 1.5.5"},
         server},
        {"PUBLISH v5 reason string", v5, 0x30, "<t> [1f <x>]", {malformed_packet, "v5 2.2.2.2"}},
        {"PUBLISH v5 will delay", v5, 0x30, "<t> [18 00000001]", {malformed_packet, "v5 2.2.2.2"}},
        {"PUBLISH v5 without properties", v5, 0x30, "<t>", {malformed_packet, "v5[MQTT-2.2.2-1]"}},
        {"PUBLISH v5 user property without a value", v5, 0x30, "<t> [26 <a>]", {malformed_packet, "v5 2.1.4"}},
        {"PUBLISH v5 user property of bad UTF-8",
         v5,
         0x30,
         "<t> [26 <a> 0001 ff]",
         {malformed_packet, "v5[MQTT-1.5.4-1]"}},
        {"PUBLISH v5 topic of bad UTF-8", v5, 0x30, "0002 c080 []", {malformed_packet, "v5[MQTT-1.5.4-1]"}},
        {"PUBLISH v5 topic with U+0000", v5, 0x30, "0003 610062 []", {malformed_packet, "v5[MQTT-1.5.4-2]"}},
        {"PUBLISH v3.1.1 QoS 3", v3_1_1, 0x36, "<t> 0001", {malformed_packet, "v311[MQTT-3.3.1-4]"}},
        {"PUBLISH v3.1.1 DUP at QoS 0", v3_1_1, 0x38, "<t>", {malformed_packet, "v311[MQTT-3.3.1-2]"}},
        {"PUBLISH v3.1.1 packet id 0", v3_1_1, 0x32, "<t> 0000", {protocol_error, "v311[MQTT-2.3.1-1]"}},
        {"PUBLISH v3.1.1 wildcard", v3_1_1, 0x30, "<a/#>", {malformed_packet, "v311[MQTT-3.3.2-2]"}},
        {"PUBLISH v3.1.1 empty topic", v3_1_1, 0x30, "0000 'x'", {malformed_packet, "v311[MQTT-4.7.3-1]"}},
        {"PUBLISH v3.1.1 without a packet id", v3_1_1, 0x32, "<t>", {malformed_packet, "v311 2.2.3"}},
    };
}

} // namespace fb::test
