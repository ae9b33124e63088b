#include <doctest/doctest.h>

#include "gateway.hpp"
#include "tests/support/test_certificates.hpp"

using namespace fb;
using namespace fb::test;

namespace {

std::string image() {
    std::string bytes(200'000, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31 + i / 251);
    return bytes;
}

/// A gateway with one firmware and one device that was told to install it.
struct offered {
    gateway g;
    std::string bytes = image();
    std::string firmware, path, signed_path, update;

    explicit offered(gateway::configure change = {})
        : g(std::move(change)) {
        const auto uploaded = g.upload("2.0.0", bytes);
        REQUIRE(uploaded.status == 201);
        firmware = member(uploaded.body, "id");
        path = "/fw/" + firmware + "/app.bin";
        g.add_device("dev-1");
        const auto triggered =
            g.post("/api/v1/updates", "{\"firmware_id\":\"" + firmware + "\",\"device_ids\":[\"dev-1\"]}");
        REQUIRE(triggered.status == 201);
        update = member(triggered.body, "updates.0.id");
        const auto url = member(g.command_for("dev-1"), "url");
        signed_path = url.substr(url.find("/fw/"));
    }
    http_answer ask(const std::string& target, std::map<std::string, std::string> headers = {},
                    const std::string& method = "GET") {
        return g.ask({method, target, std::move(headers), {}}, std::nullopt);
    }
    std::string update_member(const std::string& name) { return member(g.get("/api/v1/updates/" + update).body, name); }
};

} // namespace

TEST_CASE("a signed URL gives the whole file and moves the update to downloaded") {
    offered o;
    const auto answer = o.ask(o.signed_path);
    CHECK(answer.status == 200);
    CHECK(answer.body == o.bytes);
    CHECK(answer.header("content-length") == "200000");
    CHECK(answer.header("accept-ranges") == "bytes");
    CHECK(answer.header("content-type") == "application/octet-stream");
    CHECK("sha256:" + answer.header("etag").substr(1, 64) ==
          member(o.g.get("/api/v1/firmwares/" + o.firmware).body, "checksum"));
    // The last bytes are booked after they were written, so the client may be first.
    for (int i = 0; i < 1000 && o.update_member("state") != "downloaded"; ++i) {
    }
    CHECK(o.update_member("state") == "downloaded");
    CHECK(o.update_member("percent") == "100");
    CHECK(o.update_member("bytes_sent") == "200000");
}

TEST_CASE("ranges give exactly the bytes asked for") {
    offered o;
    struct row {
        const char* range;
        int status;
        std::size_t first, count;
        const char* content_range;
    };
    for (const row& each : {row{"bytes=0-0", 206, 0, 1, "bytes 0-0/200000"},
                            row{"bytes=1000-1999", 206, 1000, 1000, "bytes 1000-1999/200000"},
                            row{"bytes=65535-131072", 206, 65535, 65538, "bytes 65535-131072/200000"},
                            row{"bytes=199999-", 206, 199999, 1, "bytes 199999-199999/200000"},
                            row{"bytes=-5", 206, 199995, 5, "bytes 199995-199999/200000"},
                            row{"bytes=199990-999999", 206, 199990, 10, "bytes 199990-199999/200000"},
                            row{"bytes=0-1,5-6", 200, 0, 200000, ""}, row{"bytes=9-5", 200, 0, 200000, ""},
                            row{"lines=0-1", 200, 0, 200000, ""}}) {
        CAPTURE(each.range);
        const auto answer = o.ask(o.signed_path, {{"Range", each.range}});
        CHECK(answer.status == each.status);
        CHECK(answer.header("content-range") == each.content_range);
        CHECK(answer.header("content-length") == std::to_string(each.count));
        CHECK((answer.body == o.bytes.substr(each.first, each.count)));
    }
    const auto beyond = o.ask(o.signed_path, {{"Range", "bytes=200000-"}});
    CHECK(beyond.status == 416);
    CHECK(beyond.header("content-range") == "bytes */200000");
    CHECK(beyond.problem() == "range_not_satisfiable");
}

TEST_CASE("If-Range continues only the same file, If-None-Match answers 304") {
    offered o;
    const auto etag = o.ask(o.signed_path, {}, "HEAD").header("etag");
    REQUIRE(etag.size() == 66);
    CHECK(o.ask(o.signed_path, {{"Range", "bytes=5-9"}, {"If-Range", etag}}).status == 206);
    CHECK(o.ask(o.signed_path, {{"Range", "bytes=5-9"}, {"If-Range", "\"other\""}}).status == 200);
    CHECK(o.ask(o.signed_path, {{"Range", "bytes=5-9"}, {"If-Range", "W/" + etag}}).status == 200);
    CHECK(o.ask(o.signed_path, {{"Range", "bytes=5-9"}, {"If-Range", "Sat, 01 Jan 2000 00:00:00 GMT"}}).status == 200);
    CHECK(o.ask(o.signed_path, {{"Range", "bytes=900000-"}, {"If-Range", "\"other\""}}).status == 200);
    CHECK(o.ask(o.signed_path, {{"If-None-Match", etag}}).status == 304);
}

TEST_CASE("HEAD says what GET would, without moving the update") {
    offered o;
    const auto head = o.ask(o.signed_path, {{"Range", "bytes=0-9"}}, "HEAD"); // RFC 9110: Range is for GET
    CHECK(head.status == 200);
    CHECK(head.header("content-length") == "200000");
    o.g.settle();
    CHECK(o.update_member("state") == "offered");
}

TEST_CASE("a URL that was tampered with is refused") {
    offered o;
    const auto changed = [&](const std::string& what, const std::string& to) {
        auto url = o.signed_path;
        const auto at = url.find(what) + what.size();
        url.replace(at, to.size(), to);
        return o.ask(url);
    };
    CHECK(changed("?u=", "00000000").status == 403);
    CHECK(changed("&a=", "2").status == 403);
    CHECK(changed("&e=", "9").status == 403);
    CHECK(changed("&s=", "AAAA").status == 403);
    CHECK(o.ask(o.signed_path.substr(0, o.signed_path.find("&s="))).problem() == "bad_signature");
    CHECK(o.ask(o.path).status == 401);
    CHECK_FALSE(o.ask(o.path).header("www-authenticate").empty());
    o.g.settle();
    CHECK(o.update_member("state") == "offered");
}

TEST_CASE("an operator's token downloads without an update being involved") {
    offered o;
    CHECK((o.g.get(o.path, http::role::viewer).body == o.bytes));
    CHECK(o.ask(o.path, {{"Authorization", "Bearer fb_wrong"}}).status == 401);
    CHECK(o.g.get("/fw/" + o.firmware + "/other.bin").status == 404);
    CHECK(o.g.get("/fw/not-a-uuid/app.bin").status == 404);
    CHECK(o.g.get("/fw/01900000-0000-7000-8000-000000000000/app.bin").status == 404);
    CHECK(o.g.get("/fw/" + o.firmware + "/..%2fapp.bin").status == 400);
    CHECK(o.g.ask({"POST", o.path, {}, ""}).status == 405);
    o.g.settle();
    CHECK(o.update_member("state") == "offered");
}

TEST_CASE("a revoked firmware is gone for everybody") {
    offered o;
    const auto revoked = o.g.post("/api/v1/firmwares/" + o.firmware + "/revoke", "");
    CHECK(revoked.status == 200);
    CHECK(member(revoked.body, "state") == "revoked");
    CHECK(o.ask(o.signed_path).problem() == "revoked");
    CHECK(o.g.get(o.path).status == 410);
}

TEST_CASE("a device's certificate alone opens the firmware of its open update, over TLS") {
    const tests::test_authority authority("dev-1");
    offered o([&](http::settings& s) {
        s.listeners.push_back(
            {"127.0.0.1", 0,
             std::make_shared<certs::tls_context>(authority.settings(certs::client_certificates::optional))});
    });
    const auto get = [&](const std::string& target, tls_files files) {
        http_client client(o.g.port(1), std::move(files));
        client.send(http_request{"GET", target, {}, {}}.text());
        return client.receive();
    };
    const auto ca = authority.file("ca.crt").string();
    const auto mine = get(o.path, {ca, authority.file("dev-1.crt").string(), authority.file("dev-1.key").string()});
    CHECK(mine.status == 200);
    CHECK((mine.body == o.bytes));
    CHECK(mine.header("strict-transport-security") == "max-age=31536000");
    CHECK(get(o.path, {ca, "", ""}).status == 401);
    CHECK(get(o.signed_path, {ca, "", ""}).status == 200);
    CHECK(get("/healthz", {ca, "", ""}).status == 200);
}

TEST_CASE("an artifact that is missing on disk is an honest error") {
    offered o;
    std::filesystem::remove_all(o.g.directory / "blobs");
    CHECK(o.g.get(o.path).problem() == "artifact_missing");
}
