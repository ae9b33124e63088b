#include <doctest/doctest.h>

#include "http/multipart.hpp"

#include <vector>

using namespace fb::http;

namespace {

struct part {
    std::string name, data;
    std::optional<std::string> filename;
    bool ended = false;
    friend bool operator==(const part&, const part&) = default;
};

struct recorder : part_sink {
    std::vector<part> parts;
    bool on_part(const part_header& header) override {
        parts.push_back({header.name, "", header.filename});
        return true;
    }
    bool on_data(std::string_view bytes) override {
        parts.back().data += bytes;
        return true;
    }
    bool on_part_end() override {
        parts.back().ended = true;
        return true;
    }
};

std::string field(const std::string& name, const std::string& value) {
    return "--xyz\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n";
}

struct outcome {
    bool well = false, complete = false;
    std::string error;
    std::vector<part> parts;
};

outcome parse(const std::vector<std::string_view>& pieces) {
    recorder sink;
    multipart_parser parser("xyz", sink);
    for (const auto piece : pieces)
        if (!parser.feed(piece)) return {false, false, parser.error(), sink.parts};
    return {true, parser.complete(), "", sink.parts};
}

outcome parse(std::string_view whole) { return parse(std::vector{whole}); }

} // namespace

TEST_CASE("a form gives the same parts at whichever two positions it is split") {
    const std::string body = field("version", "1.0.0") +
                             "--xyz\r\ncontent-disposition: FORM-DATA; filename=\"a;\\\"b.bin\"; name=file\r\n"
                             "Content-Type: application/octet-stream\r\n\r\nab\r\n--xy\r\n\r\n--xyzz\r\n" +
                             std::string("\0\r\n-", 4) + "\r\n--xyz--\r\n";
    // "\r\n--xyzz" begins with the delimiter, so what follows is no part: use it as the malformed twin below.
    CHECK_FALSE(parse(body).well);

    const std::string good = field("version", "1.0.0") +
                             "--xyz\r\ncontent-disposition: FORM-DATA; filename=\"a;\\\"b.bin\"; name=file\r\n"
                             "Content-Type: application/octet-stream\r\n\r\nab\r\n--xy\r\n\r\n-" +
                             std::string("\0\r\n-", 4) + "\r\n--xyz--\r\nepilogue";
    const auto whole = parse(good);
    REQUIRE(whole.well);
    REQUIRE(whole.complete);
    REQUIRE(whole.parts.size() == 2);
    CHECK(whole.parts[0] == part{"version", "1.0.0", std::nullopt, true});
    CHECK(whole.parts[1] == part{"file", "ab\r\n--xy\r\n\r\n-" + std::string("\0\r\n-", 4), "a;\"b.bin", true});

    const std::string_view text = good;
    for (std::size_t a = 0; a <= text.size(); ++a) {
        for (std::size_t b = a; b <= text.size(); ++b) {
            const auto split = parse({text.substr(0, a), text.substr(a, b - a), text.substr(b)});
            REQUIRE(split.well);
            REQUIRE(split.complete);
            REQUIRE(split.parts == whole.parts);
        }
    }
    std::vector<std::string_view> bytes;
    for (std::size_t i = 0; i < text.size(); ++i) bytes.push_back(text.substr(i, 1));
    CHECK(parse(bytes).parts == whole.parts);
}

TEST_CASE("an empty part and a form without parts are complete") {
    const auto empty = parse(field("a", "") + "--xyz--");
    CHECK(empty.complete);
    REQUIRE(empty.parts.size() == 1);
    CHECK(empty.parts[0].data.empty());
    CHECK(empty.parts[0].ended);
    CHECK(parse("--xyz--\r\n").complete);
}

TEST_CASE("a form without its closing boundary is not complete") {
    for (const auto* end : {"", "--xyz", "--xyz-", "--xyz\r\n", "--xy"}) {
        CAPTURE(end);
        const auto result = parse(field("a", "1") + end);
        CHECK(result.well);
        CHECK_FALSE(result.complete);
    }
}

TEST_CASE("a short preamble is skipped, a long one is refused") {
    CHECK(parse("This is a form.\r\n" + field("a", "1") + "--xyz--").complete);
    CHECK_FALSE(parse(std::string(2000, 'x') + "\r\n--xyz--").well);
}

TEST_CASE("a part's headers are bounded") {
    const auto with_header = [](std::size_t bytes) {
        const std::string head = "Content-Disposition: form-data; name=a\r\nX: ";
        return "--xyz\r\n" + head + std::string(bytes - head.size(), 'x') + "\r\n\r\n1\r\n--xyz--";
    };
    CHECK(parse(with_header(multipart_parser::header_bytes_max)).complete);
    CHECK(parse(with_header(multipart_parser::header_bytes_max + 1)).error.find("longer than") != std::string::npos);
    CHECK_FALSE(parse("--xyz\r\n" + std::string(100'000, 'x')).well);
}

TEST_CASE("the number of parts is bounded") {
    std::string body;
    for (int i = 0; i < multipart_parser::parts_max; ++i) body += field("a", "1");
    CHECK(parse(body + "--xyz--").complete);
    CHECK_FALSE(parse(body + field("a", "1") + "--xyz--").well);
}

TEST_CASE("malformed parts are refused with words") {
    const auto bad = {
        "--xyz\r\n\r\nno headers\r\n--xyz--",
        "--xyz\r\nContent-Type: text/plain\r\n\r\nno name\r\n--xyz--",
        "--xyz\r\nContent-Disposition: form-data\r\n\r\nno name\r\n--xyz--",
        "--xyz\r\nContent-Disposition: attachment; name=a\r\n\r\n1\r\n--xyz--",
        "--xyz\r\nContent-Disposition: form-data; name=\"a\r\n\r\n1\r\n--xyz--",
        "--xyz\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n\r\n1\r\n--xyz--",
        "--xyz\r\nno colon\r\n\r\n1\r\n--xyz--",
        "--xyz\r\n: no name\r\n\r\n1\r\n--xyz--",
        "--xyzContent-Disposition: form-data; name=a\r\n\r\n1\r\n--xyz--",
        "--xyz-x\r\n",
    };
    for (const auto* body : bad) {
        CAPTURE(body);
        CHECK_FALSE(parse(body).error.empty());
    }
}

TEST_CASE("a sink that says no stops the parser, without an error of the parser's") {
    struct refusing : recorder {
        bool on_data(std::string_view) override { return false; }
    } sink;
    multipart_parser parser("xyz", sink);
    CHECK_FALSE(parser.feed(field("a", "1") + "--xyz--"));
    CHECK(parser.error().empty());
    CHECK_FALSE(parser.feed("more"));
}

TEST_CASE("a boundary comes from multipart/form-data only, and has 1 to 70 lawful characters") {
    CHECK(multipart_boundary("multipart/form-data; boundary=abc") == "abc");
    CHECK(multipart_boundary("Multipart/Form-Data; charset=x; Boundary=\"a b:c\"") == "a b:c");
    CHECK(multipart_boundary("multipart/form-data;boundary=" + std::string(70, 'b')).has_value());
    for (const auto& bad :
         {std::string("multipart/mixed; boundary=abc"), std::string("multipart/form-data"),
          std::string("multipart/form-data; boundary="), std::string("multipart/form-data; boundary=\"a \""),
          std::string("multipart/form-data; boundary=\"a"), std::string("multipart/form-data; boundary=a\"b"),
          "multipart/form-data; boundary=" + std::string(71, 'b'), std::string()}) {
        CAPTURE(bad);
        CHECK_FALSE(multipart_boundary(bad).has_value());
    }
}
