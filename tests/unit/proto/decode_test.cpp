// The fields that decoders fill in, where the round trip over the packet table would not notice two wrongs.
#include <doctest/doctest.h>

#include "tests/support/any_packet.hpp"
#include "tests/support/packets.hpp"

using namespace fb::proto;
using namespace fb::test;

namespace {

// The packet's views point into `bytes`.
template <class Packet>
Packet decoded(const std::string& bytes, version v = version::v5, bool from_client = true) {
    const auto p = decode_one(bytes, v, from_client);
    REQUIRE(p.has_value());
    return std::get<Packet>(*p);
}

} // namespace

TEST_CASE("v5[MQTT-3.1.3-1] v5[MQTT-3.1.2-9] v5[MQTT-3.1.2-17] v5[MQTT-3.1.2-19] v5[MQTT-3.1.3-3] the fields of a "
          "CONNECT come in their order") {
    const auto bytes =
        packet_bytes(0x10, render("<MQTT> 05 f6 0102 [11 ffffffff 21 0014 27 00100000 22 000a 19 01 17 00]"
                                  " <client> [18 00000005] <will> <gone> <user> <secret>"));
    const auto p = decoded<connect>(bytes);
    CHECK(p.protocol == version::v5);
    CHECK(p.clean_start);
    CHECK(p.keep_alive_s == 0x0102);
    CHECK(p.client_id == "client");
    REQUIRE(p.last_will);
    CHECK(p.last_will->topic == "will");
    CHECK(p.last_will->payload == "gone");
    CHECK(p.last_will->quality == qos::exactly_once);
    CHECK(p.last_will->retain);
    CHECK(p.last_will->delay_s == 5);
    CHECK(p.user_name == "user");
    CHECK(p.password == "secret");
    CHECK(p.properties.session_expiry_s == session_never_expires);
    CHECK(p.properties.receive_maximum == 20);
    CHECK(p.properties.maximum_packet_size == 0x100000);
    CHECK(p.properties.topic_alias_maximum == 10);
    CHECK(p.properties.request_response_information);
    CHECK_FALSE(p.properties.request_problem_information);
}

TEST_CASE("a CONNECT without properties has the standard's defaults") {
    const auto p = decoded<connect>(packet_bytes(0x10, render("<MQTT> 05 00 0000 [] 0000")));
    CHECK_FALSE(p.clean_start);
    CHECK_FALSE(p.last_will);
    CHECK_FALSE(p.user_name);
    CHECK(p.properties.session_expiry_s == 0);
    CHECK(p.properties.receive_maximum == 65535);
    CHECK(p.properties.maximum_packet_size == no_size_limit);
    CHECK(p.properties.topic_alias_maximum == 0);
    CHECK_FALSE(p.properties.request_response_information);
    CHECK(p.properties.request_problem_information);
}

TEST_CASE("a CONNECT tells its version") {
    CHECK(decoded<connect>(packet_bytes(0x10, render("<MQTT> 04 02 003c <c>"))).protocol == version::v3_1_1);
    CHECK(decoded<connect>(packet_bytes(0x10, render("<MQIsdp> 03 02 003c <c>"))).protocol == version::v3_1);
}

TEST_CASE("an empty user name and password are not the same as none") {
    const auto bytes = packet_bytes(0x10, render("<MQTT> 05 c2 003c [] <c> 0000 0000"));
    const auto p = decoded<connect>(bytes);
    CHECK(p.user_name == "");
    CHECK(p.password == "");
}

TEST_CASE("the fields of a PUBLISH, with views into the bytes") {
    const auto bytes =
        packet_bytes(0x3d, render("<a/b> 0102 [02 00000003 23 0004 01 00 08 <r> 09 <c> 03 <t>] 'hello'"));
    const auto p = decoded<publish>(bytes);
    CHECK(p.topic == "a/b");
    CHECK(p.quality == qos::exactly_once);
    CHECK(p.retain);
    CHECK(p.dup);
    CHECK(p.id == 0x0102);
    CHECK(p.payload == "hello");
    CHECK(p.payload.data() == bytes.data() + bytes.size() - 5);
    CHECK(p.properties.message_expiry_s == 3u);
    CHECK(p.properties.topic_alias == std::uint16_t{4});
    CHECK(p.properties.payload_format == std::uint8_t{0});
    CHECK(p.properties.response_topic == "r");
    CHECK(p.properties.correlation_data == "c");
    CHECK(p.properties.content_type == "t");
}

TEST_CASE("the subscription identifiers of a PUBLISH come in their order") {
    const auto p = decoded<publish>(packet_bytes(0x30, render("<t> [0b ffffff7f 0b 01]")), version::v5, false);
    CHECK(p.properties.subscription_ids == std::vector<std::uint32_t>{varint_max, 1});
}

TEST_CASE("the options of a subscription") {
    const auto bytes = packet_bytes(0x82, render("0001 [0b 05] <a> 06 <b> 19 <c> 20"));
    const auto p = decoded<subscribe>(bytes);
    CHECK(p.properties.subscription_id == 5u);
    REQUIRE(p.requests.size() == 3);
    CHECK(p.requests[0].options == subscription_options{qos::exactly_once, true, false, retain_handling::send});
    CHECK(p.requests[1].options == subscription_options{qos::at_least_once, false, true, retain_handling::send_if_new});
    CHECK(p.requests[2].options == subscription_options{qos::at_most_once, false, false, retain_handling::never});
    CHECK(p.requests[2].filter == "c");
}

TEST_CASE("what an acknowledgement leaves out is success") {
    CHECK(decoded<puback>(packet_bytes(0x40, render("0001"))).reason == reason_code::success);
    CHECK(decoded<puback>(packet_bytes(0x40, render("0001 97"))).reason == reason_code::quota_exceeded);
    CHECK(decoded<disconnect>(packet_bytes(0xe0, "")).reason == reason_code::success);
    CHECK(decoded<auth>(packet_bytes(0xf0, "")).reason == reason_code::success);
}

TEST_CASE("v311 3.2.2.3 return codes are read as the reasons they stand for") {
    const auto reason = [](const char* body) {
        return decoded<connack>(packet_bytes(0x20, render(body)), version::v3_1_1, false).reason;
    };
    CHECK(reason("00 01") == reason_code::unsupported_protocol_version);
    CHECK(reason("00 02") == reason_code::client_identifier_not_valid);
    CHECK(reason("00 03") == reason_code::server_unavailable);
    CHECK(reason("00 04") == reason_code::bad_user_name_or_password);
    CHECK(reason("00 05") == reason_code::not_authorized);
}

TEST_CASE("packet types and reason codes have names") {
    for (unsigned type = 1; type <= 15; ++type)
        CHECK(to_string(static_cast<packet_type>(type)) != "unknown packet type");
    CHECK(to_string(packet_type::pubcomp) == "PUBCOMP");
    CHECK(to_string(reason_code::packet_too_large) == "Packet too large");
    CHECK(to_string(static_cast<reason_code>(0x03)) == "unknown reason code");
}

TEST_CASE("v311[MQTT-3.1.3-1] v311[MQTT-3.1.2-9] v311[MQTT-3.1.2-11] v311[MQTT-3.1.2-19] v311[MQTT-3.1.2-21] "
          "v311[MQTT-3.1.3-3] the fields of a 3.1.1 CONNECT come in their order, a will only with its "
          "flag") {
    const auto all = packet_bytes(0x10, render("<MQTT> 04 ce 003c <client> <will> <gone> <user> <secret>"));
    const auto p = decoded<connect>(all, version::v3_1_1);
    CHECK(p.client_id == "client");
    REQUIRE(p.last_will.has_value());
    CHECK(p.last_will->topic == "will");
    CHECK(p.last_will->payload == "gone");
    CHECK(p.user_name == "user");
    CHECK(p.password == "secret");
    const auto none = packet_bytes(0x10, render("<MQTT> 04 c2 003c <client> <user> <secret>"));
    CHECK_FALSE(decoded<connect>(none, version::v3_1_1).last_will.has_value());
    CHECK(decoded<connect>(none, version::v3_1_1).user_name == "user");
}

TEST_CASE("v5[MQTT-1.5.4-3] v311[MQTT-1.5.3-3] a byte order mark stays in the string it came in") {
    const std::string marked = "\xef\xbb\xbfid\xef\xbb\xbf";
    const std::string tail = "0008" + hex(marked);
    const auto five = packet_bytes(0x10, render("<MQTT> 05 02 003c [] " + tail));
    CHECK(decoded<connect>(five).client_id == marked);
    const auto three = packet_bytes(0x10, render("<MQTT> 04 02 003c " + tail));
    CHECK(decoded<connect>(three, version::v3_1_1).client_id == marked);
}

namespace {

/// Decodes `notation`, in which ? stands for a string, once with a good one and once with each kind of bad one, of
/// which the error must tell.
void check_string(std::uint8_t first_byte, std::string notation, version v) {
    const auto with = [&](std::string_view text_hex) {
        std::string filled = notation;
        filled.replace(filled.find('?'), 1, text_hex);
        const auto p = decode_one(packet_bytes(first_byte, render(filled)), v);
        return p ? std::string("good") : std::string(p.error().statement);
    };
    CAPTURE(notation);
    CHECK(with("0002 6162") == "good");
    const bool v5 = v == version::v5;
    const char* const ill_formed = v5 ? "v5[MQTT-1.5.4-1]" : "v311[MQTT-1.5.3-1]";
    CHECK(with("0002 c328") == ill_formed);
    CHECK(with("0003 eda080") == ill_formed);
    CHECK(with("0002 6100") == (v5 ? "v5[MQTT-1.5.4-2]" : "v311[MQTT-1.5.3-2]"));
}

} // namespace

TEST_CASE("v5[MQTT-3.1.3-4] v5[MQTT-3.1.3-11] v5[MQTT-3.1.3-12] v5[MQTT-3.3.2-1] v5[MQTT-3.3.2-13] v5[MQTT-3.3.2-19] "
          "v5[MQTT-3.8.3-1] v5[MQTT-3.10.3-1] every string of a packet is checked") {
    check_string(0x10, "<MQTT> 05 02 003c [] ?", version::v5);
    check_string(0x10, "<MQTT> 05 06 003c [] <c> [] ? <x>", version::v5);
    check_string(0x10, "<MQTT> 05 82 003c [] <c> ?", version::v5);
    check_string(0x30, "? [] 'x'", version::v5);
    check_string(0x30, "<t> [08 ?] 'x'", version::v5);
    check_string(0x30, "<t> [03 ?] 'x'", version::v5);
    check_string(0x82, "0001 [] ? 00", version::v5);
    check_string(0xa2, "0001 [] ?", version::v5);
}

TEST_CASE("v5[MQTT-1.5.7-1] both strings of a user property are checked") {
    check_string(0x30, "<t> [26 ? <value>] 'x'", version::v5);
    check_string(0x30, "<t> [26 <name> ?] 'x'", version::v5);
}

TEST_CASE("v311[MQTT-3.1.3-4] v311[MQTT-3.1.3-10] v311[MQTT-3.1.3-11] v311[MQTT-3.3.2-1] v311[MQTT-3.8.3-1] "
          "v311[MQTT-3.10.3-1] v311[MQTT-1.5.3-1] v311[MQTT-1.5.3-2] every string of a 3.1.1 packet is checked") {
    check_string(0x10, "<MQTT> 04 02 003c ?", version::v3_1_1);
    check_string(0x10, "<MQTT> 04 06 003c <c> ? <x>", version::v3_1_1);
    check_string(0x10, "<MQTT> 04 82 003c <c> ?", version::v3_1_1);
    check_string(0x30, "? 'x'", version::v3_1_1);
    check_string(0x82, "0001 ? 00", version::v3_1_1);
    check_string(0xa2, "0001 ?", version::v3_1_1);
}
