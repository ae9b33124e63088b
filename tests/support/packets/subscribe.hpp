// SUBSCRIBE and UNSUBSCRIBE. Part of support/packets.hpp, which explains the notation.
#pragma once

#include "tests/support/packets.hpp"

namespace fb::test {

inline std::vector<named_packet> subscribe_packets() {
    using enum proto::version;
    using enum proto::reason_code;
    return {
        {"SUBSCRIBE v5", v5, 0x82, "0001 [] <a/b> 01"},
        {"SUBSCRIBE v5 with several filters", v5, 0x82, "0001 [] <#> 00 <+/+> 01 </> 02"},
        {"SUBSCRIBE v5 with everything", v5, 0x82, "0001 [0b 8001 26 <a> <b>] <a/#> 2e"},
        {"SUBSCRIBE v5 shared", v5, 0x82, "0001 [] <$share/group/a/#> 29"},
        {"SUBSCRIBE v5 to a $-topic", v5, 0x82, "0001 [] <$SYS/#> 00"},
        {"SUBSCRIBE v3.1.1", v3_1_1, 0x82, "0001 <a/b> 00 <c> 02"},
        {"SUBSCRIBE v3.1 again", v3_1, 0x8a, "0001 <a> 01", decodes, sender::client, round_trip::different},

        {"SUBSCRIBE v5 without its flags", v5, 0x80, "0001 [] <a> 00", {malformed_packet, "v5[MQTT-3.8.1-1]"}},
        {"SUBSCRIBE v5 again", v5, 0x8a, "0001 [] <a> 00", {malformed_packet, "v5[MQTT-3.8.1-1]"}},
        {"SUBSCRIBE v5 packet id 0", v5, 0x82, "0000 [] <a> 00", {protocol_error, "v5[MQTT-2.2.1-3]"}},
        {"SUBSCRIBE v5 without a filter", v5, 0x82, "0001 []", {protocol_error, "v5[MQTT-3.8.3-2]"}},
        {"SUBSCRIBE v5 without options", v5, 0x82, "0001 [] <a>", {malformed_packet, "v5 2.1.4"}},
        {"SUBSCRIBE v5 filter cut off", v5, 0x82, "0001 [] <a> 00 00", {malformed_packet, "v5[MQTT-3.8.3-1]"}},
        {"SUBSCRIBE v5 maximum QoS 3", v5, 0x82, "0001 [] <a> 03", {protocol_error, "v5 3.8.3.1"}},
        {"SUBSCRIBE v5 retain handling 3", v5, 0x82, "0001 [] <a> 30", {protocol_error, "v5 3.8.3.1"}},
        {"SUBSCRIBE v5 reserved option", v5, 0x82, "0001 [] <a> 40", {malformed_packet, "v5[MQTT-3.8.3-5]"}},
        {"SUBSCRIBE v5 no local on a share", v5, 0x82, "0001 [] <$share/g/a> 04", {protocol_error, "v5[MQTT-3.8.3-4]"}},
        {"SUBSCRIBE v5 empty filter", v5, 0x82, "0001 [] 0000 00", {malformed_packet, "v5[MQTT-4.7.3-1]"}},
        {"SUBSCRIBE v5 # not last", v5, 0x82, "0001 [] <a/#/b> 00", {malformed_packet, "v5[MQTT-4.7.1-1]"}},
        {"SUBSCRIBE v5 # not alone", v5, 0x82, "0001 [] <a/b#> 00", {malformed_packet, "v5[MQTT-4.7.1-1]"}},
        {"SUBSCRIBE v5 + not alone", v5, 0x82, "0001 [] <a+/b> 00", {malformed_packet, "v5[MQTT-4.7.1-2]"}},
        {"SUBSCRIBE v5 share without a name",
         v5,
         0x82,
         "0001 [] <$share//a> 00",
         {malformed_packet, "v5[MQTT-4.8.2-1]"}},
        {"SUBSCRIBE v5 share name with a wildcard",
         v5,
         0x82,
         "0001 [] <$share/g+/a> 00",
         {malformed_packet, "v5[MQTT-4.8.2-2]"}},
        {"SUBSCRIBE v5 share without a filter",
         v5,
         0x82,
         "0001 [] <$share/g> 00",
         {malformed_packet, "v5[MQTT-4.8.2-2]"}},
        {"SUBSCRIBE v5 share with an empty filter",
         v5,
         0x82,
         "0001 [] <$share/g/> 00",
         {malformed_packet, "v5[MQTT-4.8.2-2]"}},
        {"SUBSCRIBE v5 share with a bad filter",
         v5,
         0x82,
         "0001 [] <$share/g/a#> 00",
         {malformed_packet, "v5[MQTT-4.7.1-1]"}},
        {"SUBSCRIBE v5 identifier 0", v5, 0x82, "0001 [0b 00] <a> 00", {protocol_error, "v5 3.8.2.1.2"}},
        {"SUBSCRIBE v5 identifier twice", v5, 0x82, "0001 [0b 01 0b 02] <a> 00", {protocol_error, "v5 3.8.2.1"}},
        {"SUBSCRIBE v5 filter of bad UTF-8", v5, 0x82, "0001 [] 0001 80 00", {malformed_packet, "v5[MQTT-1.5.4-1]"}},
        {"SUBSCRIBE v3.1.1 without its flags", v3_1_1, 0x80, "0001 <a> 00", {malformed_packet, "v311[MQTT-3.8.1-1]"}},
        {"SUBSCRIBE v3.1.1 packet id 0", v3_1_1, 0x82, "0000 <a> 00", {protocol_error, "v311[MQTT-2.3.1-1]"}},
        {"SUBSCRIBE v3.1.1 without a filter", v3_1_1, 0x82, "0001", {protocol_error, "v311[MQTT-3.8.3-3]"}},
        {"SUBSCRIBE v3.1.1 QoS 3", v3_1_1, 0x82, "0001 <a> 03", {malformed_packet, "v311[MQTT-3.8.3-4]"}},
        {"SUBSCRIBE v3.1.1 options of v5", v3_1_1, 0x82, "0001 <a> 04", {malformed_packet, "v311[MQTT-3.8.3-4]"}},
        {"SUBSCRIBE v3.1.1 # not last", v3_1_1, 0x82, "0001 <#/a> 00", {malformed_packet, "v311[MQTT-4.7.1-2]"}},
        {"SUBSCRIBE v3.1.1 + not alone", v3_1_1, 0x82, "0001 <a/b+> 00", {malformed_packet, "v311[MQTT-4.7.1-3]"}},
        {"SUBSCRIBE v3.1.1 empty filter", v3_1_1, 0x82, "0001 0000 00", {malformed_packet, "v311[MQTT-4.7.3-1]"}},

        {"UNSUBSCRIBE v5", v5, 0xa2, "0001 [] <a/b>"},
        {"UNSUBSCRIBE v5 with everything", v5, 0xa2, "0001 [26 <a> <b>] <#> <$share/g/+>"},
        {"UNSUBSCRIBE v3.1.1", v3_1_1, 0xa2, "0001 <a/b> <c>"},
        {"UNSUBSCRIBE v5 without its flags", v5, 0xa0, "0001 [] <a>", {malformed_packet, "v5[MQTT-3.10.1-1]"}},
        {"UNSUBSCRIBE v5 packet id 0", v5, 0xa2, "0000 [] <a>", {protocol_error, "v5[MQTT-2.2.1-3]"}},
        {"UNSUBSCRIBE v5 without a filter", v5, 0xa2, "0001 []", {protocol_error, "v5[MQTT-3.10.3-2]"}},
        {"UNSUBSCRIBE v5 with an identifier", v5, 0xa2, "0001 [0b 01] <a>", {malformed_packet, "v5 2.2.2.2"}},
        {"UNSUBSCRIBE v5 filter cut off", v5, 0xa2, "0001 [] 0004 'a'", {malformed_packet, "v5[MQTT-3.10.3-1]"}},
        {"UNSUBSCRIBE v3.1.1 without its flags", v3_1_1, 0xa0, "0001 <a>", {malformed_packet, "v311[MQTT-3.10.1-1]"}},
        {"UNSUBSCRIBE v3.1.1 without a filter", v3_1_1, 0xa2, "0001", {protocol_error, "v311[MQTT-3.10.3-2]"}},
    };
}

} // namespace fb::test
