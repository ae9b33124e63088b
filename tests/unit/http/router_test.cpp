#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include <rapidjson/document.h>

#include "http/auth.hpp"
#include "http/handlers.hpp"

using namespace fb::http;

namespace {

router::match find(std::string_view method, const std::string& target) {
    return api().find(method, parse_target(target)->segments);
}

} // namespace

TEST_CASE("a route is found by method and pattern, with its parameters") {
    const auto device = find("GET", "/api/v1/devices/press%3A7");
    REQUIRE(device.found);
    CHECK((device.found->run == &get_device));
    CHECK(device.parameters == std::vector<std::string>{"press:7"});
    const auto file = find("GET", "/fw/123/app.bin");
    REQUIRE(file.found);
    CHECK(file.parameters == std::vector<std::string>{"123", "app.bin"});
    CHECK((find("PATCH", "/api/v1/devices/a").found->run == &patch_device));
}

TEST_CASE("HEAD goes where GET goes") {
    CHECK(find("HEAD", "/fw/1/a").found == find("GET", "/fw/1/a").found);
    CHECK_FALSE(find("HEAD", "/api/v1/updates/1/cancel").found);
}

TEST_CASE("a known path with another method says which ones it knows") {
    const auto match = find("PUT", "/api/v1/devices/a");
    CHECK_FALSE(match.found);
    CHECK(match.allow == "GET, HEAD, PATCH, DELETE");
    CHECK(find("PUT", "/api/v1/updates/1/cancel").allow == "POST");
    CHECK(find("get", "/healthz").allow == "GET, HEAD");
}

TEST_CASE("an unknown path is nowhere") {
    for (const auto* path : {"/", "/api/v1", "/api/v1/devices/", "/api/v1/devices//explain", "/api/v2/devices",
                             "/api/v1/devices/a/b/c", "/fw/1", "/fw/1/", "/healthz/"}) {
        CAPTURE(path);
        const auto match = find("GET", path);
        CHECK_FALSE(match.found);
        CHECK(match.allow.empty());
    }
}

TEST_CASE("whoever changes something needs at least the role operator") {
    for (const auto& each : api().routes()) {
        CAPTURE(each.pattern);
        if (each.method == "GET") continue;
        CHECK(each.who == access::token);
        CHECK(each.least >= role::operator_);
    }
}

TEST_CASE("the OpenAPI document holds every route, and nothing else") {
    rapidjson::Document document;
    document.Parse(openapi_document(api(), "1"));
    REQUIRE_FALSE(document.HasParseError());
    CHECK(std::string(document["openapi"].GetString()) == "3.1.0");
    std::size_t operations = 0;
    for (const auto& path : document["paths"].GetObject()) operations += path.value.MemberCount();
    CHECK(operations == api().routes().size());
    std::set<std::string> names;
    for (const auto& each : api().routes()) {
        CAPTURE(each.pattern);
        std::string method(each.method);
        std::transform(method.begin(), method.end(), method.begin(),
                       [](char c) { return static_cast<char>(c | 0x20); });
        const auto& path = document["paths"][std::string(each.pattern).c_str()];
        REQUIRE(path.HasMember(method.c_str()));
        const auto& operation = path[method.c_str()];
        CHECK(names.insert(operation["operationId"].GetString()).second);
        CHECK(operation["responses"].HasMember(std::to_string(each.success).c_str()));
        CHECK(operation.HasMember("security") == (each.who == access::token));
        CHECK(each.answers_with.empty() == (each.success == 204));
        if (!each.answers_with.empty() && each.answers_with.find('/') == std::string_view::npos)
            CHECK(document["components"]["schemas"].HasMember(std::string(each.answers_with).c_str()));
    }
}

TEST_CASE("every schema that the OpenAPI document refers to is in it") {
    const auto text = openapi_document(api(), "1");
    rapidjson::Document document;
    document.Parse(text);
    constexpr std::string_view prefix = "#/components/schemas/";
    std::size_t references = 0;
    for (auto at = text.find(prefix); at != std::string::npos; at = text.find(prefix, at + 1)) {
        const auto name = text.substr(at + prefix.size(), text.find('"', at) - at - prefix.size());
        CAPTURE(name);
        CHECK(document["components"]["schemas"].HasMember(name.c_str()));
        ++references;
    }
    CHECK(references > 20);
}

TEST_CASE("an address that presents ten wrong tokens has to wait, others do not") {
    failure_limiter limiter;
    std::chrono::steady_clock::time_point now{std::chrono::hours(1)};
    for (int i = 0; i < 10; ++i) {
        CHECK_FALSE(limiter.exhausted("10.0.0.1", now));
        limiter.failed("10.0.0.1", now);
    }
    CHECK(limiter.exhausted("10.0.0.1", now));
    CHECK_FALSE(limiter.exhausted("10.0.0.2", now));
    CHECK(limiter.exhausted("10.0.0.1", now + std::chrono::seconds(5)));
    CHECK_FALSE(limiter.exhausted("10.0.0.1", now + std::chrono::seconds(7)));
}

TEST_CASE("a flood of addresses does not grow the table of failures, and does not free the guilty") {
    failure_limiter limiter;
    const std::chrono::steady_clock::time_point now{std::chrono::hours(1)};
    for (int i = 0; i < 10; ++i) limiter.failed("guilty", now);
    for (std::size_t i = 0; i < 2 * failure_limiter::addresses_max; ++i) limiter.failed(std::to_string(i), now);
    CHECK(limiter.exhausted("guilty", now));
    CHECK(limiter.exhausted("a newcomer shares the bucket of the flood", now));
    CHECK_FALSE(limiter.exhausted("a newcomer shares the bucket of the flood", now + std::chrono::minutes(2)));
}
