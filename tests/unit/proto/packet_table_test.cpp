// Walks the table of named packets: each decodes as it says, what is valid survives a round trip, and nothing that is
// cut short is taken for whole.
#include <doctest/doctest.h>

#include <set>

#include "proto/decode.hpp"
#include "proto/encode.hpp"
#include "tests/support/any_packet.hpp"
#include "tests/support/packets.hpp"

using namespace fb::proto;
using namespace fb::test;

namespace {

result<packet> decode_body_of(const named_packet& p, std::string_view body) {
    const frame f{static_cast<packet_type>(p.first_byte >> 4), static_cast<std::uint8_t>(p.first_byte & 0x0F), body, 1,
                  0};
    return decode(f, p.version, p.from == sender::client);
}

// Bodies of these types have an end that may be left out, or repeat to their end.
bool has_shorter_forms(packet_type type, version v) {
    switch (type) {
    case packet_type::publish:
    case packet_type::subscribe:
    case packet_type::suback:
    case packet_type::unsubscribe:
    case packet_type::unsuback: return true;
    case packet_type::connect:
    case packet_type::connack: return false;
    default: return v == version::v5;
    }
}

} // namespace

TEST_CASE("every named packet has a name of its own") {
    std::set<std::string> names;
    for (const auto& p : named_packets()) CHECK_MESSAGE(names.insert(p.name).second, p.name);
}

TEST_CASE("every named packet decodes, or is refused with the reason and the statement it breaks") {
    for (const auto& p : named_packets()) {
        CAPTURE(p.name);
        const auto bytes = p.bytes();
        const auto decoded = decode_one(bytes, p.version, p.from == sender::client);
        REQUIRE(decoded.has_value() == p.valid());
        if (decoded) {
            CHECK(decoded->index() + 1 == p.first_byte >> 4);
            continue;
        }
        CHECK(decoded.error().reason == p.expected.reason);
        CHECK(std::string(decoded.error().statement) == p.expected.statement);
        CHECK(std::string_view(decoded.error().what) != "");
    }
}

// One test case per statement that rows of the table break, so that each shows up by its name and must reach its
// decision.
namespace {

void refuse_rows_of_this_statement() {
    const std::string_view name = doctest::getContextOptions()->currentTest->m_name;
    const auto statement = name.substr(0, name.find(' '));
    int rows = 0;
    for (const auto& p : named_packets()) {
        if (p.expected.statement != statement) continue;
        CAPTURE(p.name);
        ++rows;
        const auto decoded = decode_one(p.bytes(), p.version, p.from == sender::client);
        CHECK((!decoded && decoded.error().statement == statement));
    }
    CHECK(rows > 0);
}

const bool registered = [] {
    static std::set<std::string> names;
    for (const auto& p : named_packets()) {
        const std::string statement = p.expected.statement;
        // What only a server sends is decided where it is encoded.
        if (p.from == sender::server || statement.find("[MQTT") == statement.npos) continue;
        const auto [name, is_new] = names.insert(statement + " named packets that break it are refused");
        if (!is_new) continue;
        doctest::detail::regTest(doctest::detail::TestCase(refuse_rows_of_this_statement, __FILE__, __LINE__,
                                                           doctest_detail_test_suite_ns::getCurrentTestSuite()) *
                                 name->c_str());
    }
    return true;
}();

} // namespace

TEST_CASE("every valid packet is encoded as the bytes it was decoded from") {
    for (const auto& p : named_packets()) {
        if (!p.valid()) continue;
        CAPTURE(p.name);
        const auto bytes = p.bytes();
        const auto decoded = decode_one(bytes, p.version, p.from == sender::client);
        REQUIRE(decoded.has_value());
        const auto encoded = encode_any(*decoded, p.version);
        if (p.encoded == round_trip::same) {
            CHECK(hex(encoded) == hex(bytes));
            continue;
        }
        CHECK(encoded.size() <= bytes.size());
        const auto again = decode_one(encoded, p.version, p.from == sender::client);
        REQUIRE(again.has_value());
        CHECK(hex(encode_any(*again, p.version)) == hex(encoded));
    }
}

TEST_CASE("no strict prefix of a packet is a packet") {
    for (const auto& p : named_packets()) {
        CAPTURE(p.name);
        const auto bytes = p.bytes();
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            const auto f = next_frame(std::string_view(bytes).substr(0, size), no_size_limit);
            REQUIRE(f.has_value());
            CHECK_FALSE(f->complete());
            CHECK((f->needed == 0 || f->needed == bytes.size()));
        }
    }
}

TEST_CASE("a body that is cut short is an error, unless what is left is a shorter form of the packet") {
    for (const auto& p : named_packets()) {
        if (!p.valid()) continue;
        CAPTURE(p.name);
        const auto body = render(p.body);
        for (std::size_t size = 0; size < body.size(); ++size) {
            CAPTURE(size);
            const std::string exact(body, 0, size); // a heap block of its own: the sanitizer sees a read past its end
            const auto decoded = decode_body_of(p, exact);
            if (!decoded) continue;
            CHECK(has_shorter_forms(static_cast<packet_type>(p.first_byte >> 4), p.version));
            const auto encoded = encode_any(*decoded, p.version);
            CHECK(decode_one(encoded, p.version, p.from == sender::client).has_value());
        }
    }
}

TEST_CASE("a body with a byte too many is an error, unless it ends in a payload or a list") {
    for (const auto& p : named_packets()) {
        const auto type = static_cast<packet_type>(p.first_byte >> 4);
        if (!p.valid() || type == packet_type::publish || type == packet_type::suback || type == packet_type::unsuback)
            continue;
        CAPTURE(p.name);
        const auto body = render(p.body) + '\xff';
        CHECK_FALSE(decode_body_of(p, body).has_value());
    }
}
