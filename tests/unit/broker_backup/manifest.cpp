// What a backup says of itself, and which names of members are taken.
#include <doctest/doctest.h>

#include "broker/backup/failure.hpp"
#include "broker/backup/manifest.hpp"

using namespace fb::backup;

TEST_CASE("names that stay below where they are put are safe, and no others") {
    for (const char* name : {"a", "data/state.db", "data/blobs/0123", "data/certs/sub/x y.crt", "a..b/...", "\xc3\xa4"})
        CHECK_MESSAGE(safe_name(name), name);
    for (const std::string& name : {std::string(), std::string("/etc/passwd"), std::string(".."), std::string("../x"),
                                    std::string("data/../../x"), std::string("data/."), std::string("a//b"),
                                    std::string("a/"), std::string("a\nb"), std::string("a\0b", 3), std::string("a\\b"),
                                    std::string(256, 'x'), "a/" + std::string(5000, 'x')})
        CHECK_FALSE_MESSAGE(safe_name(name), name);
}

TEST_CASE("a description and a list of members come back as they were") {
    description d;
    d.program_version = "1.2";
    d.created_at = "2026-01-01T00:00:00.000Z";
    d.engine = "postgresql";
    d.database = "postgresql://fb@db/fleet";
    d.outside = {{"outside/1-ca.crt", "/etc/\"odd\"/ca.crt"}};
    const description back = parse_description(to_json(d));
    CHECK(back.program_version == d.program_version);
    CHECK(back.created_at == d.created_at);
    CHECK(back.engine == d.engine);
    CHECK(back.database == d.database);
    CHECK(back.outside == d.outside);
    const std::vector<member> members{{"a", 0, std::string(64, '0')}, {"b/c", std::uint64_t(1) << 40, "ff"}};
    CHECK(parse_members(to_json(members)) == members);
}

TEST_CASE("what is not ours, or of a newer program, is refused in words") {
    const auto words = [](auto parse, const std::string& text) -> std::string {
        try {
            parse(text);
        } catch (const failure& e) {
            CHECK(e.why() == fault::unusable);
            return e.what();
        }
        return "taken";
    };
    for (const char* text : {"", "[]", "{}", "{\"fotabroker_backup\":\"1\"}", "{\"fotabroker_backup\":1"})
        CHECK(words(parse_description, text).find("not a backup of fotabroker") == 0);
    CHECK(words(parse_description, "{\"fotabroker_backup\":2,\"program_version\":\"9.9\"}").find("9.9 in format 2") !=
          std::string::npos);
    for (const char* text : {"", "{}", "{\"members\":{}}", "{\"members\":[1]}", "{\"members\":[{\"size\":-1}]}"})
        CHECK(words(parse_members, text).find("not a backup of fotabroker") == 0);
}
