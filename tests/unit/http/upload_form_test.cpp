#include <doctest/doctest.h>

#include "http/upload_form.hpp"

using namespace fb::http;

namespace {

bool put(upload_form& form, const std::string& name, std::string_view value,
         std::optional<std::string> filename = std::nullopt) {
    return form.on_part({name, std::move(filename), ""}) && form.on_data(value) && form.on_part_end();
}

void fill(upload_form& form, const std::string& version = "1.0.0") {
    REQUIRE(put(form, "device_type", "sensor"));
    REQUIRE(put(form, "version", version));
    REQUIRE(put(form, "file", "bytes", "a.bin"));
}

} // namespace

TEST_CASE("a client's file name never becomes a path") {
    CHECK(safe_filename("app-1.0.bin") == "app-1.0.bin");
    CHECK(safe_filename("../../etc/passwd") == "passwd");
    CHECK(safe_filename("C:\\temp\\app.bin") == "app.bin");
    CHECK(safe_filename(".hidden") == "_hidden");
    CHECK(safe_filename("a b\"c\n.bin") == "a_b_c_.bin");
    CHECK(safe_filename(std::string(500, 'a')).size() == 128);
    for (const auto* none : {"", ".", "..", "...", "a/", "a/.."}) {
        CAPTURE(none);
        CHECK(safe_filename(none) == "firmware.bin");
    }
}

TEST_CASE("an upload form names the field that is missing") {
    for (const std::string left_out : {"device_type", "version", "file"}) {
        CAPTURE(left_out);
        upload_form form(100);
        for (const std::string name : {"device_type", "version", "file"})
            if (name != left_out) REQUIRE(put(form, name, "1.0.0"));
        const auto refused = form.check({});
        REQUIRE(refused);
        CHECK(refused->status == 400);
        CHECK(refused->detail.find("\"" + left_out + "\"") != std::string::npos);
    }
}

TEST_CASE("a version is semantic unless the device type is free") {
    for (const auto* version : {"1.0", "v1.0.0", "1.0.0 ", " 1.0.0", "latest", "01.0.0"}) {
        CAPTURE(version);
        upload_form form(100);
        fill(form, version);
        CHECK(form.check({})->reason == "invalid_version");
        CHECK_FALSE(form.check({"other", "sensor"}));
    }
    upload_form form(100);
    fill(form, "2.0.0-rc.1+build");
    CHECK_FALSE(form.check({}));
}

TEST_CASE("an empty file is refused") {
    upload_form form(100);
    REQUIRE(put(form, "device_type", "sensor"));
    REQUIRE(put(form, "version", "1.0.0"));
    REQUIRE(put(form, "file", ""));
    CHECK(form.check({})->reason == "empty_file");
}

TEST_CASE("a signature is refused and never ignored, because nothing could verify it") {
    for (const auto* name : {"signature", "kid"}) {
        upload_form form(100);
        CHECK_FALSE(put(form, name, "x"));
        CHECK(form.refused()->status == 422);
    }
}

TEST_CASE("parts are refused when unknown, doubled, too long or not UTF-8") {
    const auto refused = [](const std::string& name, std::string_view value) {
        upload_form form(100);
        REQUIRE(put(form, "device_type", "sensor"));
        REQUIRE(put(form, "file", "x"));
        CHECK_FALSE(put(form, name, value));
        return form.refused()->status;
    };
    CHECK(refused("colour", "red") == 400);
    CHECK(refused("\xff", "red") == 400);
    CHECK(refused("device_type", "sensor") == 400);
    CHECK(refused("file", "again") == 400);
    CHECK(refused("version", std::string(65, '1')) == 400);
    CHECK(refused("version", "\xff") == 400);
    CHECK(refused("version", "1.0.0\n") == 400);
    upload_form form(100);
    CHECK(put(form, "release_notes", "line\nline"));
    CHECK(put(form, "file", std::string(100, 'x')));
    CHECK_FALSE(form.on_data("y"));
    CHECK(form.refused()->status == 413);
}

TEST_CASE("hardware revisions come as JSON or as a list with commas") {
    using list = std::vector<std::string>;
    CHECK(parse_hw_revs("A, B") == list{"A", "B"});
    CHECK(parse_hw_revs("[\"A\",\"B\"]") == list{"A", "B"});
    CHECK(parse_hw_revs("") == list{});
    CHECK_FALSE(parse_hw_revs("A,,B").has_value());
    CHECK_FALSE(parse_hw_revs("[1]").has_value());
    CHECK_FALSE(parse_hw_revs("[\"A\"],\"x\":[\"B\"]").has_value());
}

TEST_CASE("two forms are the same request when fields and file are, in whatever order") {
    upload_form a(100), b(100), other(100);
    fill(a);
    REQUIRE(put(b, "file", "bytes", "a.bin"));
    REQUIRE(put(b, "version", "1.0.0"));
    REQUIRE(put(b, "device_type", "sensor"));
    fill(other, "1.0.1");
    CHECK(a.canonical("h") == b.canonical("h"));
    CHECK(a.canonical("h") != a.canonical("i"));
    CHECK(a.canonical("h") != other.canonical("h"));
}
