// The small parts: topics, semantic versions, chunk plans, signed URLs.
#include <doctest/doctest.h>

#include "fota/semver.hpp"
#include "fota/signed_url.hpp"
#include "fota/topics.hpp"
#include "fota/transfer.hpp"

using namespace fb::fota;

TEST_CASE("report topics are taken apart, others are not ours") {
    const auto t = parse_report_topic("device/a.b:c-1_2/update/result");
    REQUIRE(t);
    CHECK(t->device_id == "a.b:c-1_2");
    CHECK(t->kind == report_kind::result);
    CHECK(parse_report_topic("device/d/status")->kind == report_kind::status);
    CHECK(parse_report_topic("device/d/update/progress")->kind == report_kind::progress);
    CHECK(parse_report_topic("device/d/fw/get")->kind == report_kind::fetch);
    for (const char* other :
         {"", "device", "device/", "device//status", "device/d", "device/d/", "device/d/update", "device/d/status/",
          "/device/d/status", "Device/d/status", "device/d+/status", "device/#/status", "device/d/fw/data/1/0"})
        CHECK_FALSE(parse_report_topic(other).has_value());
    CHECK_FALSE(parse_report_topic("device/" + std::string(129, 'x') + "/status").has_value());
    CHECK(fetch_data_topic("d", 4294967295U, 18446744073709551615ULL) ==
          "device/d/fw/data/4294967295/18446744073709551615");
}

TEST_CASE("a response topic must lie below the device's own prefix") {
    CHECK(own_response_topic("d", "device/d/reply"));
    for (const char* bad : {"", "device/d", "device/d/", "device/dd/reply", "reply", "device/d/+", "device/d/#"})
        CHECK_FALSE(own_response_topic("d", bad));
    CHECK_FALSE(own_response_topic("d", std::string("device/d/a\0b", 12)));
}

TEST_CASE("semantic versions are ordered as semver.org says") {
    const char* ascending[] = {"0.0.0-0",
                               "0.0.0",
                               "0.9.10",
                               "1.0.0-alpha",
                               "1.0.0-alpha.1",
                               "1.0.0-alpha.beta",
                               "1.0.0-beta",
                               "1.0.0-beta.2",
                               "1.0.0-beta.11",
                               "1.0.0-rc.1",
                               "1.0.0",
                               "1.0.2",
                               "1.0.10",
                               "1.2.0",
                               "2.0.0",
                               "99999999999999999999.0.0",
                               "100000000000000000000.0.0"};
    for (std::size_t i = 0; i < std::size(ascending); ++i)
        for (std::size_t j = 0; j < std::size(ascending); ++j) {
            CAPTURE(ascending[i]);
            CAPTURE(ascending[j]);
            CHECK(older(ascending[i], ascending[j]) == (i < j));
        }
    CHECK_FALSE(older("1.0.0+a", "1.0.0+b"));
    CHECK_FALSE(older("1.0.0+b", "1.0.0+a"));
}

TEST_CASE("what is no semantic version is not compared") {
    for (const char* bad : {"", "1", "1.0", "1.0.0.0", "v1.0.0", "01.0.0", "1.00.0", "1.0.0-", "1.0.0-01", "1.0.0-a..b",
                            "1.0.0+", "1.0.0-a_b", " 1.0.0", "1.0.0 ", "-1.0.0", "1.0.x", "1..0"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_semver(bad).has_value());
        CHECK_FALSE(older(bad, "9.0.0"));
        CHECK_FALSE(older("0.0.0", bad));
    }
    for (const char* good : {"1.0.0-0", "1.0.0--", "1.0.0-0a", "1.0.0+001", "1.0.0-a.b+c-d.e"})
        CHECK(parse_semver(good));
}

TEST_CASE("chunk plans end at the image's end and stay within 64 KiB") {
    using plan = std::vector<chunk_range>;
    const auto of = [](std::uint64_t offset, std::uint32_t length, std::uint32_t count, std::uint64_t size) {
        return plan_chunks({1, offset, length, count, {}}, size);
    };
    CHECK(of(0, 1000, 2, 5000) == plan{{0, 1000}, {1000, 1000}});
    CHECK(of(4000, 1000, 2, 5000) == plan{{4000, 1000}, {5000, 0}});
    CHECK(of(4000, 1000, 1, 5000) == plan{{4000, 1000}});
    CHECK(of(4500, 1000, 8, 5000) == plan{{4500, 500}, {5000, 0}});
    CHECK(of(5000, 1000, 8, 5000) == plan{{5000, 0}});
    CHECK(of(UINT64_MAX, 1000, 8, 5000) == plan{{5000, 0}});
    CHECK(of(0, 65536, 8, 1 << 20) == plan{{0, 65536}});
    CHECK(of(0, 256, 4294967295U, 1 << 20).size() == 8);
}

TEST_CASE("a URL's expiry is a plain number of seconds") {
    const fb::storage::timestamp now{std::chrono::seconds(1000)};
    CHECK(url_unexpired("1000", now));
    CHECK_FALSE(url_unexpired("999", now));
    for (const char* bad : {"", "x", "2000x", " 2000", "+2000", "99999999999999999999", "0x7d0"})
        CHECK_FALSE(url_unexpired(bad, now));
}

TEST_CASE("a URL's signature covers every part of the claim") {
    const url_claim claim{"f", "d", "u", "1", "99"};
    const auto signature = sign_url("key", claim);
    CHECK(signature.size() == 43); // 32 bytes in base64url
    CHECK(url_signature_valid("key", claim, signature));
    CHECK_FALSE(url_signature_valid("kez", claim, signature));
    for (const auto& other :
         {url_claim{"g", "d", "u", "1", "99"}, url_claim{"f", "e", "u", "1", "99"}, url_claim{"f", "d", "v", "1", "99"},
          url_claim{"f", "d", "u", "2", "99"}, url_claim{"f", "d", "u", "1", "98"}})
        CHECK_FALSE(url_signature_valid("key", other, signature));
}
