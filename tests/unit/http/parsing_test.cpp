#include <doctest/doctest.h>

#include "http/json.hpp"
#include "http/problem.hpp"
#include "http/range.hpp"
#include "http/target.hpp"
#include "http/tokens.hpp"

using namespace fb::http;

TEST_CASE("a Range header asks for one part, for the whole, or for what is not there") {
    using kind = byte_range::kind;
    struct row {
        const char* header;
        byte_range wanted; // of 100 bytes
    };
    const row rows[] = {
        {"", {kind::whole, 0, 100}},
        {"bytes=0-0", {kind::part, 0, 1}},
        {"bytes=0-99", {kind::part, 0, 100}},
        {"bytes=10-19", {kind::part, 10, 20}},
        {"Bytes = 10-19", {kind::part, 10, 20}},
        {"bytes=90-", {kind::part, 90, 100}},
        {"bytes=0-", {kind::part, 0, 100}},
        {"bytes=99-1000", {kind::part, 99, 100}},
        {"bytes=99-99999999999999999999999", {kind::part, 99, 100}},
        {"bytes=-1", {kind::part, 99, 100}},
        {"bytes=-100", {kind::part, 0, 100}},
        {"bytes=-1000", {kind::part, 0, 100}},
        {"bytes=-99999999999999999999999", {kind::part, 0, 100}},
        {"bytes=100-", {kind::unsatisfiable, 0, 0}},
        {"bytes=100-200", {kind::unsatisfiable, 0, 0}},
        {"bytes=99999999999999999999999-", {kind::unsatisfiable, 0, 0}},
        {"bytes=-0", {kind::unsatisfiable, 0, 0}},
        {"bytes=5-4", {kind::whole, 0, 100}},
        {"bytes=0-1,5-6", {kind::whole, 0, 100}},
        {"bytes=-", {kind::whole, 0, 100}},
        {"bytes=a-b", {kind::whole, 0, 100}},
        {"bytes=+1-2", {kind::whole, 0, 100}},
        {"bytes=1 -2", {kind::whole, 0, 100}},
        {"bytes 1-2", {kind::whole, 0, 100}},
        {"lines=1-2", {kind::whole, 0, 100}},
        {"bytes=--1", {kind::whole, 0, 100}},
    };
    for (const auto& each : rows) {
        CAPTURE(each.header);
        CHECK(parse_range(each.header, 100) == each.wanted);
    }
    CHECK(parse_range("bytes=0-", 0).what == kind::unsatisfiable);
    CHECK(parse_range("bytes=-5", 0).what == kind::unsatisfiable);
}

TEST_CASE("percent-decoding is strict") {
    CHECK(percent_decode("a%20b%2Fc", false) == "a b/c");
    CHECK(percent_decode("a+b", false) == "a+b");
    CHECK(percent_decode("a+b%2b", true) == "a b+");
    CHECK(percent_decode("%e4%BD%a0", false) == "\xe4\xbd\xa0");
    for (const auto* bad : {"%", "%2", "%2g", "%g2", "a%", "%00", "%0a", "%7f", "%1F", "\n", "%ff", "%c3"}) {
        CAPTURE(bad);
        CHECK_FALSE(percent_decode(bad, false).has_value());
    }
}

TEST_CASE("a target is taken apart into segments and parameters") {
    const auto t = parse_target("/api/v1/devices/a%3Ab?limit=5&cursor=x%3D%3D&flag&&empty=#fragment");
    REQUIRE(t);
    CHECK(t->segments == std::vector<std::string>{"api", "v1", "devices", "a:b"});
    CHECK(t->parameter("limit") == "5");
    CHECK(t->parameter("cursor") == "x==");
    CHECK(t->parameter("flag") == "");
    CHECK(t->parameter("empty") == "");
    CHECK_FALSE(t->parameter("other").has_value());
    CHECK(t->query.size() == 4);
    CHECK(parse_target("/")->segments == std::vector<std::string>{""});
    CHECK(parse_target("/a/")->segments == std::vector<std::string>{"a", ""});
    CHECK(parse_target("http://host:80/a?b=c")->segments == std::vector<std::string>{"a"});
    CHECK(parse_target("http://host")->path == "/");
}

TEST_CASE("a target that could climb out of its folder or hide something is refused") {
    for (const auto* bad : {"", "*", "a", "//a/../b", "/a/./b", "/%2e%2e/etc/passwd", "/a/%2E", "/a%2fb", "/a%5cb",
                            "/a\\b", "/%00", "/%", "/a?b=%", "/a?b=%00", "host:443"}) {
        CAPTURE(bad);
        auto t = parse_target(bad);
        CHECK_FALSE(t);
        if (!t) CHECK(t.why().status == 400);
    }
    CHECK(parse_target("/" + std::string(9000, 'a')).why().status == 414);
    std::string many = "/a?";
    for (int i = 0; i < 65; ++i) many += "x=1&";
    CHECK(parse_target(many).why().status == 400);
}

TEST_CASE("a problem is RFC 9457 JSON, whatever its words hold") {
    problem p{422, "all_refused", "\"quoted\"\n", {}, "\"refused\":[]"};
    CHECK(to_json(p) == "{\"type\":\"urn:fotabroker:problem:all_refused\",\"title\":\"Unprocessable Content\","
                        "\"status\":422,\"reason\":\"all_refused\",\"detail\":\"\\\"quoted\\\"\\n\",\"refused\":[]}");
}

TEST_CASE("every kind of storage error has a status") {
    using fb::storage::error_kind;
    CHECK(from_storage({error_kind::conflict, ""}).status == 409);
    CHECK(from_storage({error_kind::not_found, ""}).status == 404);
    CHECK(from_storage({error_kind::invalid, ""}).status == 400);
    CHECK(from_storage({error_kind::busy, ""}).status == 503);
    CHECK(from_storage({error_kind::unavailable, ""}).status == 503);
    CHECK(from_storage({error_kind::corrupt, ""}).status == 500);
    CHECK(from_storage({error_kind::schema, ""}).status == 500);
}

TEST_CASE("a token is long, unique and kept only as its hash") {
    const auto a = make_token("ci", role::operator_, {}, std::nullopt);
    const auto b = make_token("ci", role::operator_, {}, std::nullopt);
    CHECK(a.secret != b.secret);
    CHECK(a.secret.starts_with("fb_"));
    CHECK(a.secret.size() == 46);
    CHECK(a.row.hash == token_hash(a.secret));
    CHECK(a.row.hash.size() == 64);
    CHECK(a.row.role == "operator");
    CHECK(a.row.name == "ci");
}

TEST_CASE("roles are ordered and known by name") {
    CHECK(role::viewer < role::operator_);
    CHECK(role::operator_ < role::approver);
    CHECK(role::approver < role::admin);
    for (const role r : {role::viewer, role::operator_, role::approver, role::admin})
        CHECK(parse_role(to_string(r)) == r);
    CHECK_FALSE(parse_role("root").has_value());
    CHECK_FALSE(parse_role("").has_value());
}

TEST_CASE("a request's JSON is read strictly") {
    CHECK(json_object::parse("{\"a\":1}"));
    for (const auto* bad : {"", "[]", "1", "{", "{\"a\":}", "{}x", "{\"a\":\"\xff\"}"}) {
        CAPTURE(bad);
        CHECK_FALSE(json_object::parse(bad));
    }
    CHECK_FALSE(json_object::parse(std::string(200'000, '[')));
    auto body = json_object::parse("{\"text\":\"abc\",\"yes\":true,\"list\":[\"x\",\"y\"],\"mixed\":[\"x\",1]}");
    REQUIRE(body);
    CHECK(body->refuse_unknown({"text", "yes", "list"}).has_value());
    CHECK_FALSE(body->refuse_unknown({"text", "yes", "list", "mixed"}).has_value());
    CHECK(*body->text("text", 3) == "abc");
    CHECK_FALSE(body->text("text", 2));
    CHECK_FALSE(body->text("yes", 9));
    CHECK_FALSE(json_object::parse("{\"text\":\"a\\u0000b\"}")->text("text", 9));
    CHECK_FALSE((*body->text("absent", 9)).has_value());
    CHECK(*body->boolean("yes", false));
    CHECK_FALSE(body->boolean("text", false));
    CHECK((*body->texts("list", 2, 1))->size() == 2);
    CHECK_FALSE(body->texts("list", 1, 1));
    CHECK_FALSE(body->texts("mixed", 9, 9));
    CHECK(json_object::parse("{\"a\":1,\"a\":2}")->refuse_unknown({"a"}).has_value());
}

TEST_CASE("UTF-8 is checked to its last byte") {
    CHECK(valid_utf8(""));
    CHECK(valid_utf8("plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80"));
    for (const auto* bad : {"\x80", "\xc3", "\xc0\x80", "\xe2\x82", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xc3("}) {
        CAPTURE(bad);
        CHECK_FALSE(valid_utf8(bad));
    }
}

TEST_CASE("JSON from the database that is none is replaced") {
    const auto stored = [](std::string_view text, std::string_view otherwise) {
        json_text out;
        out.stored(text, otherwise);
        return out.take();
    };
    CHECK(stored("[\"a\"]", "[]") == "[\"a\"]");
    CHECK(stored("oops", "[]") == "[]");
    CHECK(stored("{}", "[]") == "[]");
    CHECK(stored("[]", "{}") == "{}");
    CHECK(stored("", "{}") == "{}");
}
