// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK. Part of support/packets.hpp, which explains the notation.
#pragma once

#include "tests/support/packets.hpp"

namespace fb::test {

inline std::vector<named_packet> ack_packets() {
    using enum proto::version;
    using enum proto::reason_code;
    constexpr auto client = sender::client;
    constexpr auto server = sender::server;
    constexpr auto different = round_trip::different;
    return {
        {"PUBACK v5 of two bytes", v5, 0x40, "0001"},
        {"PUBACK v5 of three bytes", v5, 0x40, "0001 10"},
        {"PUBACK v5 with everything", v5, 0x40, "0001 97 [1f <full> 26 <a> <b>]"},
        {"PUBACK v5 success spelt out", v5, 0x40, "0001 00", decodes, client, different},
        {"PUBACK v5 with an empty block", v5, 0x40, "0001 10 []", decodes, client, different},
        {"PUBREC v5 of two bytes", v5, 0x50, "0001"},
        {"PUBREC v5 of three bytes", v5, 0x50, "0001 97"},
        {"PUBREC v5 success with words", v5, 0x50, "0001 00 [1f <fine>]"},
        {"PUBREL v5 of two bytes", v5, 0x62, "0001"},
        {"PUBREL v5 of three bytes", v5, 0x62, "0001 92"},
        {"PUBREL v5 with everything", v5, 0x62, "0001 92 [1f <lost> 26 <a> <b>]"},
        {"PUBCOMP v5 of two bytes", v5, 0x70, "ffff"},
        {"PUBCOMP v5 of three bytes", v5, 0x70, "0001 92"},
        {"PUBCOMP v5 with everything", v5, 0x70, "0001 92 [1f <lost> 26 <a> <b>]"},
        {"PUBACK v3.1.1", v3_1_1, 0x40, "0001"},
        {"PUBREC v3.1.1", v3_1_1, 0x50, "0001"},
        {"PUBREL v3.1.1", v3_1_1, 0x62, "0001"},
        {"PUBCOMP v3.1.1", v3_1_1, 0x70, "0001"},
        {"PUBREL v3.1 again", v3_1, 0x6a, "0001", decodes, client, different},

        {"PUBACK v5 empty", v5, 0x40, "", {malformed_packet, "v5 2.1.4"}},
        {"PUBACK v5 of one byte", v5, 0x40, "00", {malformed_packet, "v5 2.1.4"}},
        {"PUBACK v5 packet id 0", v5, 0x40, "0000", {protocol_error, "v5[MQTT-2.2.1-3]"}},
        {"PUBACK v5 flags", v5, 0x42, "0001", {malformed_packet, "v5[MQTT-2.1.3-1]"}},
        {"PUBACK v5 reason of a PUBREL", v5, 0x40, "0001 92", {protocol_error, "v5[MQTT-3.4.2-1]"}},
        {"PUBREC v5 unknown reason", v5, 0x50, "0001 01", {protocol_error, "v5[MQTT-3.5.2-1]"}},
        {"PUBREL v5 reason of a PUBACK", v5, 0x62, "0001 10", {protocol_error, "v5[MQTT-3.6.2-1]"}},
        {"PUBREL v5 without its flags", v5, 0x60, "0001", {malformed_packet, "v5[MQTT-3.6.1-1]"}},
        {"PUBREL v5 again", v5, 0x6a, "0001", {malformed_packet, "v5[MQTT-3.6.1-1]"}},
        {"PUBCOMP v5 unknown reason", v5, 0x70, "0001 80", {protocol_error, "v5[MQTT-3.7.2-1]"}},
        {"PUBACK v5 property of a PUBLISH", v5, 0x40, "0001 00 [01 00]", {malformed_packet, "v5 2.2.2.2"}},
        {"PUBACK v5 reason string twice", v5, 0x40, "0001 00 [1f <a> 1f <b>]", {protocol_error, "v5 3.4.2.2"}},
        {"PUBACK v5 bytes left over", v5, 0x40, "0001 00 [] 00", {malformed_packet, "v5 2.1.4"}},
        {"PUBACK v3.1.1 flags", v3_1_1, 0x41, "0001", {malformed_packet, "v311[MQTT-2.2.2-2]"}},
        {"PUBACK v3.1.1 with a reason", v3_1_1, 0x40, "0001 00", {malformed_packet, "v311 3.4.1"}},
        {"PUBREC v3.1.1 with a reason", v3_1_1, 0x50, "0001 00", {malformed_packet, "v311 3.5.1"}},
        {"PUBREL v3.1.1 with a reason", v3_1_1, 0x62, "0001 00", {malformed_packet, "v311 3.6.1"}},
        {"PUBREL v3.1.1 without its flags", v3_1_1, 0x60, "0001", {malformed_packet, "v311[MQTT-3.6.1-1]"}},
        {"PUBCOMP v3.1.1 with a reason", v3_1_1, 0x70, "0001 00", {malformed_packet, "v311 3.7.1"}},
        {"PUBACK v3.1.1 packet id 0", v3_1_1, 0x40, "0000", {protocol_error, "v311[MQTT-2.3.1-1]"}},

        {"SUBACK v5", v5, 0x90, "0001 [] 00 01 02 87", decodes, server},
        {"SUBACK v5 with everything", v5, 0x90, "0001 [1f <why> 26 <a> <b>] a2", decodes, server},
        {"SUBACK v3.1.1", v3_1_1, 0x90, "0001 00 01 02 80", decodes, server},
        {"SUBACK v5 without a reason", v5, 0x90, "0001 []", {protocol_error, "v5[MQTT-3.8.4-6]"}, server},
        {"SUBACK v5 reason of an UNSUBACK", v5, 0x90, "0001 [] 11", {protocol_error, "v5[MQTT-3.9.3-2]"}, server},
        {"SUBACK v5 flags", v5, 0x92, "0001 [] 00", {malformed_packet, "v5[MQTT-2.1.3-1]"}, server},
        {"SUBACK v3.1.1 unknown return code", v3_1_1, 0x90, "0001 87", {protocol_error, "v311[MQTT-3.9.3-2]"}, server},
        {"SUBACK v3.1.1 without a return code", v3_1_1, 0x90, "0001", {protocol_error, "v311[MQTT-3.8.4-5]"}, server},
        {"UNSUBACK v5", v5, 0xb0, "0001 [] 00 11 87", decodes, server},
        {"UNSUBACK v5 with everything", v5, 0xb0, "0001 [1f <why> 26 <a> <b>] 8f", decodes, server},
        {"UNSUBACK v3.1.1", v3_1_1, 0xb0, "0001", decodes, server},
        {"UNSUBACK v5 without a reason", v5, 0xb0, "0001 []", {protocol_error, "v5[MQTT-3.11.3-1]"}, server},
        {"UNSUBACK v5 reason of a SUBACK", v5, 0xb0, "0001 [] 01", {protocol_error, "v5[MQTT-3.11.3-2]"}, server},
        {"UNSUBACK v3.1.1 with a reason", v3_1_1, 0xb0, "0001 00", {malformed_packet, "v311 3.11.1"}, server},
    };
}

} // namespace fb::test
