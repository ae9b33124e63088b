// What the round trip over the packet table does not show: trimming to the peer's Maximum Packet Size, the short forms,
// and that the broker's way of sending a PUBLISH gives the same bytes as the plain one.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/support/any_packet.hpp"
#include "tests/support/packets.hpp"

using namespace fb::proto;
using namespace fb::test;

namespace {

template <class Packet>
std::string encoded(const Packet& p, version v = version::v5) {
    std::string out;
    REQUIRE(encode(p, v, out));
    return out;
}

// Encodes within every limit from 0 up to the whole size, and checks what is left out at each.
template <class Packet>
void check_trimming(Packet p) {
    p.properties.reason_string = "reason";
    p.properties.user.add("name", "value");
    const auto whole = encoded(p);
    p.properties.user = {};
    const auto with_reason = encoded(p);
    p.properties.reason_string.reset();
    const auto bare = encoded(p);
    REQUIRE(bare.size() < with_reason.size());
    REQUIRE(with_reason.size() < whole.size());

    p.properties.reason_string = "reason";
    p.properties.user.add("name", "value");
    for (std::uint32_t limit = 0; limit <= whole.size(); ++limit) {
        CAPTURE(limit);
        std::string out = "before";
        const bool fits = encode(p, version::v5, out, limit);
        CHECK(fits == (limit >= bare.size()));
        const auto& expected = limit >= whole.size() ? whole : limit >= with_reason.size() ? with_reason : bare;
        CHECK(out == (fits ? "before" + expected : "before"));
    }
}

publish_head head_with(qos quality, const std::string& block, const std::vector<std::uint32_t>& ids) {
    return {
        .topic = "some/topic",
        .quality = quality,
        .retain = true,
        .dup = quality != qos::at_most_once,
        .id = static_cast<packet_id>(quality == qos::at_most_once ? 0 : 0x1234),
        .topic_alias = 7,
        .message_expiry_s = 60,
        .has_expiry = true,
        .subscription_ids = ids.data(),
        .subscription_id_count = ids.size(),
        .forward_block = block,
        .payload_size = 7,
    };
}

} // namespace

TEST_CASE("v5[MQTT-3.2.2-19] v5[MQTT-3.2.2-20] a CONNACK is trimmed to the client's maximum packet size") {
    check_trimming(connack{.session_present = false, .reason = reason_code::not_authorized, .properties = {}});
}

TEST_CASE("v5[MQTT-3.4.2-2] v5[MQTT-3.4.2-3] a PUBACK is trimmed, down to its shortest form") {
    check_trimming(puback{.id = 1, .reason = reason_code::success, .properties = {}});
    check_trimming(puback{.id = 1, .reason = reason_code::quota_exceeded, .properties = {}});
}

TEST_CASE("v5[MQTT-3.5.2-2] v5[MQTT-3.5.2-3] a PUBREC is trimmed") {
    check_trimming(pubrec{{.id = 1, .reason = reason_code::quota_exceeded, .properties = {}}});
}

TEST_CASE("v5[MQTT-3.6.2-2] v5[MQTT-3.6.2-3] a PUBREL is trimmed") {
    check_trimming(pubrel{{.id = 1, .reason = reason_code::packet_identifier_not_found, .properties = {}}});
}

TEST_CASE("v5[MQTT-3.7.2-2] v5[MQTT-3.7.2-3] a PUBCOMP is trimmed") {
    check_trimming(pubcomp{{.id = 1, .reason = reason_code::packet_identifier_not_found, .properties = {}}});
}

TEST_CASE("v5[MQTT-3.9.2-1] v5[MQTT-3.9.2-2] a SUBACK is trimmed, never its reason codes") {
    check_trimming(
        suback{.id = 1, .reasons = {reason_code::granted_qos_1, reason_code::quota_exceeded}, .properties = {}});
}

TEST_CASE("v5[MQTT-3.11.2-1] v5[MQTT-3.11.2-2] an UNSUBACK is trimmed, never its reason codes") {
    check_trimming(unsuback{.id = 1, .reasons = {reason_code::success}, .properties = {}});
}

TEST_CASE("v5[MQTT-3.14.2-3] v5[MQTT-3.14.2-4] a DISCONNECT is trimmed") {
    check_trimming(disconnect{.reason = reason_code::server_busy, .properties = {}});
    check_trimming(disconnect{});
}

TEST_CASE("v5[MQTT-3.15.2-2] v5[MQTT-3.15.2-3] an AUTH is trimmed, never its method") {
    auth p{.reason = reason_code::continue_authentication, .properties = {}};
    p.properties.authentication_method = "method";
    check_trimming(p);
}

TEST_CASE("v5[MQTT-3.3.2-17] a PUBLISH is not trimmed: it fits or it is not encoded") {
    publish p{.topic = "t", .payload = "payload", .properties = {}};
    p.properties.user.add("name", "value");
    const auto whole = encoded(p);
    CHECK(whole.find("value") != std::string::npos);
    std::string out;
    CHECK_FALSE(encode(p, version::v5, out, static_cast<std::uint32_t>(whole.size() - 1)));
    CHECK(out.empty());
    CHECK(encode(p, version::v5, out, static_cast<std::uint32_t>(whole.size())));
    CHECK(out == whole);
}

TEST_CASE("a PUBLISH longer than a remaining length can say is not encoded") {
    // The view is never read: encode has to refuse by the size alone.
    const publish p{.topic = "t", .payload = {"", varint_max}, .properties = {}};
    std::string out;
    CHECK_FALSE(encode(p, version::v3_1_1, out));
    CHECK(out.empty());
}

TEST_CASE("properties and reasons are not encoded for MQTT 3.1.1") {
    puback ack{.id = 1, .reason = reason_code::quota_exceeded, .properties = {}};
    ack.properties.reason_string = "full";
    CHECK(hex(encoded(ack, version::v3_1_1)) == "40020001");
    CHECK(hex(encoded(unsuback{1, {reason_code::success}, {}}, version::v3_1_1)) == "b0020001");
    CHECK(hex(encoded(disconnect{reason_code::server_busy, {}}, version::v3_1_1)) == "e000");
    publish p{.topic = "t", .payload = "x", .properties = {}};
    p.properties.message_expiry_s = 1;
    p.properties.content_type = "text";
    CHECK(hex(encoded(p, version::v3_1_1)) == "3004000174"
                                              "78");
}

TEST_CASE("v311 3.2.2.3 a reason becomes the return code nearest to it") {
    CHECK(hex(encoded(connack{true, reason_code::success, {}}, version::v3_1_1)) == "20020100");
    CHECK(connect_return_code_v311(reason_code::unsupported_protocol_version) == 1);
    CHECK(connect_return_code_v311(reason_code::client_identifier_not_valid) == 2);
    CHECK(connect_return_code_v311(reason_code::server_busy) == 3);
    CHECK(connect_return_code_v311(reason_code::bad_user_name_or_password) == 4);
    CHECK(connect_return_code_v311(reason_code::not_authorized) == 5);
    CHECK(connect_return_code_v311(reason_code::banned) == 5);
    for (unsigned code = 1; code < 256; ++code) {
        const auto returned = connect_return_code_v311(static_cast<reason_code>(code));
        CHECK((returned >= 1 && returned <= 5));
    }
}

TEST_CASE("v311[MQTT-3.9.3-2] a refused subscription is 0x80 whatever the reason") {
    const suback p{1, {reason_code::success, reason_code::granted_qos_2, reason_code::not_authorized}, {}};
    CHECK(hex(encoded(p, version::v3_1_1)) == "90050001000280");
}

TEST_CASE("append_publish_head gives the bytes of encode(publish), and publish_size their number") {
    publish_properties forwarded;
    forwarded.payload_format = std::uint8_t{1};
    forwarded.response_topic = "reply";
    forwarded.correlation_data = "id";
    forwarded.content_type = "text";
    forwarded.user.add("a", "1");
    forwarded.user.add("a", "2");
    std::string block;
    append_forward_block(forwarded, block);
    const std::vector<std::uint32_t> ids{1, 300, varint_max};

    for (const auto v : {version::v3_1, version::v3_1_1, version::v5}) {
        for (const auto quality : {qos::at_most_once, qos::at_least_once, qos::exactly_once}) {
            CAPTURE(static_cast<int>(v));
            CAPTURE(static_cast<int>(quality));
            const auto head = head_with(quality, block, ids);
            publish p{head.topic, "payload", quality, head.retain, head.dup, head.id, forwarded};
            p.properties.topic_alias = head.topic_alias;
            p.properties.message_expiry_s = head.message_expiry_s;
            p.properties.subscription_ids = ids;

            std::string sent = "before";
            const auto id_at = append_publish_head(head, v, sent);
            sent += "payload";
            CHECK(hex(sent) == hex("before" + encoded(p, v)));
            CHECK(publish_size(head, v) == sent.size() - 6);
            if (quality == qos::at_most_once)
                CHECK(id_at == 0);
            else
                CHECK(hex(sent.substr(id_at, 2)) == "1234");
        }
    }
}

TEST_CASE("the packet id of an encoded PUBLISH can be patched for another subscriber") {
    const auto head = head_with(qos::at_least_once, "", {});
    std::string sent;
    const auto id_at = append_publish_head(head, version::v5, sent);
    sent += "payload";
    sent[id_at] = '\x56';
    sent[id_at + 1] = '\x78';
    const auto decoded = decode_one(sent, version::v5);
    REQUIRE(decoded.has_value());
    CHECK(std::get<publish>(*decoded).id == 0x5678);
    CHECK(std::get<publish>(*decoded).payload == "payload");
}

TEST_CASE("v5[MQTT-3.3.2-18] the forward block holds what a server passes on, in order, and nothing of its own") {
    const auto bytes = packet_bytes(
        0x30, render("<t> [26 <b> <1> 02 00000005 23 0001 0b 01 03 <text> 26 <a> <2> 01 00 08 <r> 09 <c>] 'x'"));
    const auto decoded = decode_one(bytes, version::v5, false);
    REQUIRE(decoded.has_value());
    auto properties = std::get<publish>(*decoded).properties;
    std::string block = "before";
    append_forward_block(properties, block);
    CHECK(hex(block) == hex("before" + render("01 00 08 <r> 09 <c> 03 <text> 26 <b> <1> 26 <a> <2>")));
    properties.user.add("c", "3");
    block.clear();
    append_forward_block(properties, block);
    CHECK(block.ends_with(render("26 <a> <2> 26 <c> <3>")));
}

TEST_CASE("the forward block of a will leaves out the delay and the expiry") {
    const auto bytes =
        packet_bytes(0x10, render("<MQTT> 05 06 003c [] <c> [18 00000009 26 <k> <v> 02 00000008 01 01] <w> <x>"));
    const auto decoded = decode_one(bytes, version::v5);
    REQUIRE(decoded.has_value());
    const auto& last_will = *std::get<connect>(*decoded).last_will;
    CHECK(last_will.delay_s == 9);
    CHECK(last_will.properties.message_expiry_s == 8u);
    std::string block;
    append_forward_block(last_will.properties, block);
    CHECK(hex(block) == hex(render("01 01 26 <k> <v>")));
}

TEST_CASE("a message without properties has an empty forward block") {
    std::string block;
    append_forward_block({}, block);
    CHECK(block.empty());
}

TEST_CASE("v5[MQTT-2.1.3-1] v311[MQTT-2.2.2-1] the reserved flags of what a server sends have their fixed values") {
    for (const version v : {version::v3_1_1, version::v5}) {
        CHECK(encoded(connack{}, v)[0] == '\x20');
        CHECK(encoded(puback{.id = 1, .properties = {}}, v)[0] == '\x40');
        CHECK(encoded(pubrec{{.id = 1, .properties = {}}}, v)[0] == '\x50');
        CHECK(encoded(pubrel{{.id = 1, .properties = {}}}, v)[0] == '\x62');
        CHECK(encoded(pubcomp{{.id = 1, .properties = {}}}, v)[0] == '\x70');
        CHECK(encoded(suback{.id = 1, .reasons = {reason_code::success}, .properties = {}}, v)[0] == '\x90');
        CHECK(encoded(unsuback{.id = 1, .reasons = {reason_code::success}, .properties = {}}, v)[0] == '\xb0');
        CHECK(encoded(disconnect{}, v)[0] == '\xe0');
    }
    std::string out;
    encode(pingresp{}, out);
    CHECK(hex(out) == "d000");
    CHECK(encoded(auth{})[0] == '\xf0');
}

TEST_CASE("v5[MQTT-2.2.1-2] v311[MQTT-2.3.1-5] a PUBLISH of QoS 0 has no packet identifier, others have theirs") {
    publish p{.topic = "t", .payload = "x", .id = 7, .properties = {}};
    CHECK(hex(encoded(p)) == hex(packet_bytes(0x30, render("<t> [] 'x'"))));
    CHECK(hex(encoded(p, version::v3_1_1)) == hex(packet_bytes(0x30, render("<t> 'x'"))));
    p.quality = qos::at_least_once;
    CHECK(hex(encoded(p)) == hex(packet_bytes(0x32, render("<t> 0007 [] 'x'"))));
    for (const version v : {version::v3_1_1, version::v5}) {
        const auto bytes = packet_bytes(0x30, render(v == version::v5 ? "<t> [] 0007" : "<t> 0007"));
        const auto decoded = decode_one(bytes, v);
        REQUIRE(decoded.has_value());
        CHECK(std::get<publish>(*decoded).id == 0);
        CHECK(std::get<publish>(*decoded).payload == std::string_view("\0\x07", 2));
    }
}

TEST_CASE("v5[MQTT-2.2.2-1] no properties are a length of 0") {
    CHECK(hex(encoded(connack{})) == "2003000000");
    CHECK(hex(encoded(suback{.id = 1, .reasons = {reason_code::granted_qos_1}, .properties = {}})) == "900400010001");
}

TEST_CASE("v5[MQTT-3.2.2-1] the reserved flags of a CONNACK are 0") {
    CHECK(hex(encoded(connack{})) == "2003000000");
    CHECK(hex(encoded(connack{.session_present = true, .properties = {}})) == "2003010000");
}

TEST_CASE("v5[MQTT-3.6.1-1] v311[MQTT-3.6.1-1] PUBREL is sent with its fixed flags") {
    for (const version v : {version::v3_1_1, version::v5})
        CHECK(hex(encoded(pubrel{{.id = 1, .properties = {}}}, v)) == "62020001");
}

TEST_CASE("v5[MQTT-3.3.2-4] v5[MQTT-3.3.2-15] v5[MQTT-3.3.2-16] v5[MQTT-3.3.2-17] v5[MQTT-3.3.2-18] v5[MQTT-3.3.2-20] "
          "v5[MQTT-3.1.3-10] the forward block is what came, in order") {
    const std::string block = render("01 01 08 <r> 09 0002 00ff 03 <text> 26 <b> <1> 26 <a> <2> 26 <b> <0>");
    const auto p = decode_forward_block(block);
    REQUIRE(p.has_value());
    std::string again;
    append_forward_block(*p, again);
    CHECK(hex(again) == hex(block));
}

TEST_CASE("v311[MQTT-3.1.2-2] v311[MQTT-3.1.3-8] v311[MQTT-3.1.3-9] refusals have their return codes") {
    for (const auto& [reason, bytes] : {std::pair{reason_code::unsupported_protocol_version, "20020001"},
                                        std::pair{reason_code::client_identifier_not_valid, "20020002"}})
        CHECK(hex(encoded(connack{.reason = reason, .properties = {}}, version::v3_1_1)) == bytes);
}
