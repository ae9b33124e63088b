// UTF-8 by table: the first and last character of every row of the Unicode standard's table of well-formed sequences,
// and their neighbours that are not.
#include <doctest/doctest.h>

#include "proto/utf8.hpp"
#include "tests/support/any_packet.hpp"

using namespace fb::proto;
using namespace fb::test;
using namespace std::string_literals;

TEST_CASE("v5[MQTT-1.5.4-1] well-formed UTF-8 is a string") {
    for (const auto& text :
         {""s, "plain"s, "exactly8"s, "more than eight bytes of plain text"s, "\x01"s, "\x7f"s, "\xc2\x80"s,
          "\xdf\xbf"s, "\xe0\xa0\x80"s, "\xec\xbf\xbf"s, "\xed\x9f\xbf"s, "\xee\x80\x80"s, "\xef\xbf\xbf"s,
          "\xf0\x90\x80\x80"s, "\xf3\xbf\xbf\xbf"s, "\xf4\x8f\xbf\xbf"s, "seven..\xc3\xa9 and on"s}) {
        CAPTURE(hex(text));
        CHECK(valid_utf8_string(text));
        CHECK(valid_utf8(text));
    }
}

TEST_CASE("v5[MQTT-1.5.4-1] ill-formed UTF-8 and surrogates are no string, wherever they stand") {
    for (const auto& bad : {"\x80"s,
                            "\xbf"s,
                            "\xc0\x80"s,
                            "\xc1\xbf"s,
                            "\xc2"s,
                            "\xc2\x41"s,
                            "\xc2\xc2"s,
                            "\xe0\x80\x80"s,
                            "\xe0\x9f\xbf"s,
                            "\xe1\x80"s,
                            "\xe1\x80\x41"s,
                            "\xed\xa0\x80"s,
                            "\xed\xbf\xbf"s,
                            "\xf0\x80\x80\x80"s,
                            "\xf0\x8f\xbf\xbf"s,
                            "\xf1\x80\x80"s,
                            "\xf1\x80\x80\x41"s,
                            "\xf4\x90\x80\x80"s,
                            "\xf5\x80\x80\x80"s,
                            "\xfe"s,
                            "\xff"s}) {
        for (std::size_t before = 0; before < 20; ++before) {
            const auto text = std::string(before, 'a') + bad;
            CAPTURE(hex(text));
            CHECK_FALSE(valid_utf8_string(text));
            CHECK_FALSE(valid_utf8(text));
            CHECK_FALSE(valid_utf8_string(text + "aaaaaaaaaaaa"));
        }
    }
}

TEST_CASE("v5[MQTT-1.5.4-2] U+0000 is not allowed in a string, though it is UTF-8") {
    for (std::size_t at = 0; at < 20; ++at) {
        auto text = std::string(20, 'a');
        text[at] = '\0';
        CHECK_FALSE(valid_utf8_string(text));
        CHECK(valid_utf8(text));
    }
}

TEST_CASE("a byte order mark is an ordinary character") {
    CHECK(valid_utf8_string("\xef\xbb\xbf"));
    CHECK(valid_utf8_string("a\xef\xbb\xbf"));
}
