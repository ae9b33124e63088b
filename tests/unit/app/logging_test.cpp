// The log's lines: what a hostile client id can do to them (nothing), and that JSON stays JSON.
#include <doctest/doctest.h>

#include <rapidjson/document.h>

#include "broker/app/logging.hpp"

using namespace fb::app;

namespace {

std::string line(log_format format, std::string_view text) {
    return log_line(format, spdlog::details::log_msg("fotabroker", spdlog::level::warn,
                                                     spdlog::string_view_t(text.data(), text.size())));
}

} // namespace

TEST_CASE("a text line has time, level and message") {
    const auto text = line(log_format::text, "hello");
    CHECK(text.size() == std::string_view("2026-11-22T10:15:30.123Z warning: hello").size());
    CHECK(text.ends_with("Z warning: hello"));
}

TEST_CASE("a message cannot forge a second line or steer a terminal") {
    const auto text = line(log_format::text, "client \n2026 error: \x1b[2Jgone\x7f");
    CHECK(text.find_first_of("\n\x1b\x7f") == std::string::npos);
}

TEST_CASE("a JSON line is JSON whatever the message holds") {
    const std::string_view nasty[] = {"plain", "\"quoted\" \\ \n\t", "\xff\xfe broken UTF-8 \"", "\xc3\xa4",
                                      std::string_view("\0", 1)};
    for (const auto message : nasty) {
        const auto text = line(log_format::json, message);
        CAPTURE(text);
        rapidjson::Document d;
        d.Parse(text.c_str());
        REQUIRE_FALSE(d.HasParseError());
        CHECK(std::string(d["level"].GetString()) == "warning");
        CHECK(d["message"].IsString());
        CHECK(text.find('\n') == std::string::npos);
    }
}
