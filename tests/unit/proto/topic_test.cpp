// Topics by table. Where a table states what a filter covers, the same is asked of topic_matches over a small universe
// of topics.
#include <doctest/doctest.h>

#include "proto/topic.hpp"
#include "tests/support/any_packet.hpp"

using namespace fb::proto;
using namespace std::string_literals;

namespace {

struct match_row {
    std::string filter;
    std::string topic;
    bool matches;
};

struct cover_row {
    std::string outer;
    std::string inner;
    bool covers;
};

// Every string of up to `levels` levels over `words`.
std::vector<std::string> every_path(const std::vector<std::string>& words, int levels) {
    std::vector<std::string> all = words;
    std::size_t first = 0;
    for (int level = 1; level < levels; ++level) {
        const auto last = all.size();
        for (; first < last; ++first)
            for (const auto& word : words) all.push_back(all[first] + "/" + word);
    }
    std::erase(all, "");
    return all;
}

} // namespace

TEST_CASE("v5[MQTT-4.7.3-1] v311[MQTT-4.7.3-1] a topic name has at least one character") {
    CHECK_FALSE(valid_topic_name(""));
    CHECK_FALSE(valid_topic_filter(""));
    CHECK(valid_topic_name("/"));
    CHECK(valid_topic_name(" "));
    CHECK(valid_topic_filter("/"));
}

TEST_CASE("v5[MQTT-4.7.3-2] v311[MQTT-4.7.3-2] a topic holds no U+0000 and is well-formed") {
    for (const auto& text : {"a\0b"s, "\0"s, "a/\xff"s}) {
        CHECK_FALSE(valid_topic_name(text));
        CHECK_FALSE(valid_topic_filter(text));
    }
}

TEST_CASE("v5[MQTT-4.7.3-3] v311[MQTT-4.7.3-3] a topic has at most 65535 bytes") {
    CHECK(valid_topic_name(std::string(65535, 'a')));
    CHECK_FALSE(valid_topic_name(std::string(65536, 'a')));
    CHECK(valid_topic_filter(std::string(65535, '/')));
    CHECK_FALSE(valid_topic_filter(std::string(65536, '/')));
}

TEST_CASE("v5[MQTT-4.7.0-1] v311[MQTT-4.7.1-1] a topic name holds no wildcard") {
    for (const char* topic : {"+", "#", "a/+", "a/#", "a+b", "a#b", "a/b#/c"}) CHECK_FALSE(valid_topic_name(topic));
    for (const char* topic : {"a", "a/b", "//", "$SYS/a", "a b", "\xc3\xa9"}) CHECK(valid_topic_name(topic));
}

TEST_CASE("v5[MQTT-4.7.1-1] v311[MQTT-4.7.1-2] v311[MQTT-3.8.3-2] # stands last and alone in its level") {
    for (const char* filter : {"#", "a/#", "/#", "+/#", "a/+/#"}) CHECK_MESSAGE(valid_topic_filter(filter), filter);
    for (const char* filter : {"a#", "#a", "a/b#", "#/", "#/a", "a/#/b", "##", "+#", "a/#/"})
        CHECK_MESSAGE(!valid_topic_filter(filter), filter);
}

TEST_CASE("v5[MQTT-4.7.1-2] v311[MQTT-4.7.1-3] v311[MQTT-3.8.3-2] + stands alone in its level") {
    for (const char* filter : {"+", "+/+", "a/+/b", "/+", "+/", "//+//"})
        CHECK_MESSAGE(valid_topic_filter(filter), filter);
    for (const char* filter : {"a+", "+a", "a/+b", "++", "a/++/b"}) CHECK_MESSAGE(!valid_topic_filter(filter), filter);
}

TEST_CASE("v5[MQTT-4.7.3-4] v311[MQTT-4.7.3-4] a filter matches what the standard's examples say") {
    const match_row rows[]{
        {"sport/tennis/player1/#", "sport/tennis/player1", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/ranking", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
        {"sport/tennis/player1/#", "sport/tennis/player2", false},
        {"sport/#", "sport", true},
        {"#", "sport/tennis", true},
        {"#", "/", true},
        {"sport/tennis/+", "sport/tennis/player1", true},
        {"sport/tennis/+", "sport/tennis/player1/ranking", false},
        {"sport/+", "sport", false},
        {"sport/+", "sport/", true},
        {"+/+", "/finance", true},
        {"/+", "/finance", true},
        {"+", "/finance", false},
        {"+", "finance", true},
        {"a/b", "a/b", true},
        {"a/b", "a/B", false},
        {"a/b", "a/b/", false},
        {"a/b", "/a/b", false},
        {"a/b/c", "a/b", false},
        {"a/+/c", "a//c", true},
        {"a/+/c", "a/b/d", false},
        {"a/+/#", "a", false},
        {"a/+/#", "a/b", true},
        {"//", "//", true},
        {"//", "/", false},
        {"+/+/+", "//", true},
    };
    for (const auto& row : rows) {
        CAPTURE(row.filter);
        CAPTURE(row.topic);
        CHECK(topic_matches(row.filter, row.topic) == row.matches);
    }
}

TEST_CASE("v5[MQTT-4.7.2-1] v311[MQTT-4.7.2-1] a filter that begins with a wildcard does not match a $-topic") {
    CHECK_FALSE(topic_matches("#", "$SYS/a"));
    CHECK_FALSE(topic_matches("+/a", "$SYS/a"));
    CHECK_FALSE(topic_matches("+", "$"));
    CHECK(topic_matches("$SYS/#", "$SYS/a"));
    CHECK(topic_matches("$SYS/+", "$SYS/a"));
    CHECK(topic_matches("a/#", "a/$SYS"));
    CHECK(topic_matches("+/+", "a/$b"));
}

TEST_CASE("the deepest topic there can be is matched without recursion") {
    const std::string slashes(65535, '/');
    CHECK(topic_levels(slashes) == 65536);
    CHECK(topic_matches(slashes, slashes));
    CHECK(topic_matches("#", slashes));
    CHECK(topic_matches("//#", slashes));
    CHECK_FALSE(topic_matches(slashes, slashes.substr(1)));
    std::string pluses = "+";
    for (int i = 0; i < 32767; ++i) pluses += "/+";
    CHECK(valid_topic_filter(pluses));
    CHECK(topic_matches(pluses, slashes.substr(0, 32767)));
    CHECK(filter_covers(pluses, pluses));
    CHECK(filter_covers("#", pluses));
    CHECK_FALSE(filter_covers(pluses, "#"));
}

TEST_CASE("a filter covers another when it matches all that the other can match") {
    const cover_row rows[]{
        {"#", "#", true},         {"#", "a/b", true},         {"#", "+/+", true},       {"#", "a/#", true},
        {"/+/#", "/#", true},     {"/+", "/#", false},        {"+/#", "#", true},       {"+/#", "a", true},
        {"+", "#", false},        {"+/+/#", "#", false},      {"a/#", "a", true},       {"a/#", "a/#", true},
        {"a/#", "a/+/b", true},   {"a/#", "b", false},        {"a/#", "+/b", false},    {"a/#", "#", false},
        {"a/+/#", "a/#", false},  {"a/+", "a/#", false},      {"a/+", "a/+", true},     {"a/+", "a/b", true},
        {"a/b", "a/+", false},    {"a/b", "a/b", true},       {"a/b", "a", false},      {"a", "a/b", false},
        {"+/b", "a/b", true},     {"+/b", "+/b", true},       {"+/+", "a", false},      {"#", "$SYS/a", false},
        {"+/a", "$SYS/a", false}, {"$SYS/#", "$SYS/a", true}, {"$SYS/#", "$SYS", true}, {"$SYS/#", "#", false},
        {"a/#", "a/$b", true},
    };
    for (const auto& row : rows) {
        CAPTURE(row.outer);
        CAPTURE(row.inner);
        CHECK(filter_covers(row.outer, row.inner) == row.covers);
    }
}

TEST_CASE("covering agrees with matching over every short filter and topic") {
    const auto topics = every_path({"", "a", "b", "$c"}, 4);
    std::vector<std::string> filters;
    for (const auto& path : every_path({"", "a", "$c", "+", "#"}, 3))
        if (valid_topic_filter(path)) filters.push_back(path);
    for (const auto& outer : filters) {
        for (const auto& inner : filters) {
            bool covers = true;
            for (const auto& topic : topics)
                if (topic_matches(inner, topic) && !topic_matches(outer, topic)) covers = false;
            CAPTURE(outer);
            CAPTURE(inner);
            REQUIRE(filter_covers(outer, inner) == covers);
        }
    }
}

TEST_CASE(
    "v5[MQTT-4.8.2-1] a share name has at least one character, v5[MQTT-4.8.2-2] no wildcard, and a filter follows") {
    const auto plain = parse_share("$share/group/a/#");
    REQUIRE(plain);
    CHECK(plain->group == "group");
    CHECK(plain->filter == "a/#");
    CHECK(parse_share("$share/g//")->filter == "/");
    CHECK(parse_share("$share/g/$SYS/#")->filter == "$SYS/#");
    for (const auto& bad : {"$share/"s, "$share/g"s, "$share/g/"s, "$share//a"s, "$share/+/a"s, "$share/g#/a"s,
                            "$share/g/a#"s, "$share/\xff/a"s, "share/g/a"s, "$Share/g/a"s, "$share"s, ""s})
        CHECK_MESSAGE(!parse_share(bad), bad);
    CHECK(is_share("$share/"));
    CHECK(is_share("$share//a"));
    CHECK_FALSE(is_share("$share"));
    CHECK_FALSE(is_share("$shared/g/a"));
}
