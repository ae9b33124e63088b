#include <doctest/doctest.h>

#include "certs/digest.hpp"
#include "gateway.hpp"
#include "tests/support/file_size_limit.hpp"

using namespace fb;
using namespace fb::test;

namespace {

const std::vector<std::pair<std::string, std::string>> sensor_1{{"device_type", "sensor"}, {"version", "1.0.0"}};

http_answer upload_form_of(gateway& g, const std::vector<std::pair<std::string, std::string>>& fields,
                           const std::string& file = "bytes", const std::string& filename = "app.bin") {
    return g.ask(upload_request(form(fields, file, filename)));
}

/// Blobs are let go on a pool thread after the answer: wait for it by asking for something that goes through the pool.
std::size_t files_left(gateway& g) {
    for (int i = 0; i < 4; ++i) g.get("/api/v1/firmwares");
    return g.files();
}

std::string chunked(const std::string& body, std::size_t size) {
    std::string out;
    for (std::size_t at = 0; at < body.size(); at += size) {
        const auto piece = body.substr(at, size);
        char head[32];
        std::snprintf(head, sizeof head, "%zx\r\n", piece.size());
        out += head + piece + "\r\n";
    }
    return out + "0\r\n\r\n";
}

} // namespace

TEST_CASE("an uploaded firmware is stored with its hashes and its uploader") {
    gateway g;
    std::string bytes(300'000, '\0');
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7);
    const auto answer = upload_form_of(g,
                                       {{"device_type", "sensor"},
                                        {"version", "1.2.3"},
                                        {"hw_revs", "A,B"},
                                        {"min_from_version", "1.0.0"},
                                        {"release_notes", "first\nsecond"}},
                                       bytes, "../../evil name.bin");
    REQUIRE(answer.status == 201);
    const auto id = member(answer.body, "id");
    CHECK(answer.header("location") == "/api/v1/firmwares/" + id);
    CHECK(answer.header("cache-control") == "no-store");
    CHECK(answer.header("x-content-type-options") == "nosniff");
    CHECK(member(answer.body, "checksum") == "sha256:" + certs::sha256_hex(bytes));
    CHECK(member(answer.body, "size") == "300000");
    CHECK(member(answer.body, "filename") == "evil_name.bin");
    CHECK(member(answer.body, "url") == "/fw/" + id + "/evil_name.bin");
    CHECK(member(answer.body, "state") == "approved");
    CHECK(member(answer.body, "uploaded_by") == "admin");
    CHECK(member(answer.body, "hw_revs") == "[\"A\",\"B\"]");
    CHECK(member(answer.body, "min_from_version") == "1.0.0");
    CHECK(member(answer.body, "release_notes") == "first\nsecond");
    CHECK(member(answer.body, "md5").size() == 32);
    CHECK(member(answer.body, "sha1").size() == 40);
    CHECK(g.get("/api/v1/firmwares/" + id).body == answer.body);
    CHECK(files_left(g) == 1);
}

TEST_CASE("the file part may come before the fields, and the body may be chunked") {
    gateway g;
    const std::string body =
        "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\nbytes\r\n"
        "--xyz\r\nContent-Disposition: form-data; name=\"version\"\r\n\r\n1.0.0\r\n"
        "--xyz\r\nContent-Disposition: form-data; name=\"device_type\"\r\n\r\nsensor\r\n--xyz--\r\n";
    auto r = upload_request(chunked(body, 7));
    r.headers["Transfer-Encoding"] = "chunked";
    const auto answer = g.ask(r);
    CHECK(answer.status == 201);
    CHECK(member(answer.body, "checksum") == "sha256:" + certs::sha256_hex("bytes"));
}

TEST_CASE("an upload that is refused says why and leaves no file behind") {
    gateway g;
    CHECK(upload_form_of(g, {{"version", "1.0.0"}}).problem() == "missing_field");
    CHECK(upload_form_of(g, {{"device_type", "sensor"}}).problem() == "missing_field");
    CHECK(upload_form_of(g, {{"device_type", "sensor"}, {"version", "1.0"}}).problem() == "invalid_version");
    CHECK(upload_form_of(g, sensor_1, "").problem() == "empty_file");
    CHECK(upload_form_of(g, {{"device_type", "sensor"}, {"version", "1.0.0"}, {"signature", "AAAA"}}).status == 422);
    CHECK(upload_form_of(g, {{"device_type", "sensor"}, {"version", "1.0.0"}, {"kid", "k1"}}).problem() ==
          "no_signing_keys");
    const auto whole = form(sensor_1, "bytes");
    CHECK(g.ask(upload_request(whole.substr(0, whole.size() - 6))).problem() == "malformed_form");
    CHECK(g.ask(upload_request("nonsense")).problem() == "malformed_form");
    CHECK(g.ask(upload_request("")).problem() == "malformed_form");
    auto other_type = upload_request(whole);
    other_type.headers["Content-Type"] = "application/octet-stream";
    CHECK(g.ask(other_type).status == 415);
    auto no_length = upload_request("");
    no_length.body.reset();
    CHECK(g.ask(no_length).status == 411);
    CHECK(files_left(g) == 0);
    CHECK(member(g.get("/api/v1/firmwares").body, "items") == "[]");
}

TEST_CASE("a version exists once per device type") {
    gateway g;
    REQUIRE(g.upload("1.0.0", "one").status == 201);
    const auto again = g.upload("1.0.0", "two");
    CHECK(again.status == 409);
    CHECK(again.problem() == "version_exists");
    CHECK(g.upload("1.0.0", "one", "actuator").status == 201);
    CHECK(files_left(g) == 1);
}

TEST_CASE("an upload that announces too much is refused before it is read") {
    gateway g([](http::settings& s) { s.upload_bytes_max = 1000; });
    http_client client(g.port());
    auto r = upload_request("");
    r.body.reset();
    r.headers["Content-Length"] = "1000000000";
    r.headers["Expect"] = "100-continue";
    r.headers["Authorization"] = "Bearer " + g.token(http::role::admin);
    client.send(r.text());
    const auto answer = client.receive();
    CHECK(answer.status == 413);
    CHECK(answer.header("connection") == "close");
    CHECK(client.at_end());
    CHECK(g.upload("1.0.0", std::string(1000, 'x')).status == 201);
    CHECK(g.upload("1.0.1", std::string(1001, 'x')).status == 413);
    auto endless = upload_request(chunked(form(sensor_1, std::string(5000, 'x')), 1000));
    endless.headers["Transfer-Encoding"] = "chunked";
    CHECK(g.ask(endless).status == 413);
    CHECK(files_left(g) == 1);
}

TEST_CASE("an upload that stops in the middle leaves no file behind") {
    gateway g;
    for (const std::size_t cut : {std::size_t{0}, std::size_t{60}, std::size_t{200'000}}) {
        http_client client(g.port());
        auto r = upload_request(form(sensor_1, std::string(400'000, 'x')));
        r.headers["Authorization"] = "Bearer " + g.token(http::role::admin);
        const auto text = r.text();
        client.send(text.substr(0, text.find("\r\n\r\n") + 4 + cut));
        g.get("/healthz");
        client.close();
    }
    // The server notices the ends in its own time.
    for (int i = 0; i < 1000 && files_left(g) > 0; ++i) {
    }
    CHECK(g.files() == 0);
    CHECK(g.upload("1.0.0", "bytes").status == 201);
}

TEST_CASE("100 Continue is sent only to a client that may go on") {
    gateway g;
    auto r = upload_request("");
    const auto body = form(sensor_1, "bytes");
    r.headers["Content-Length"] = std::to_string(body.size());
    r.headers["Expect"] = "100-continue";
    r.body.reset();
    http_client refused(g.port());
    refused.send(r.text());
    CHECK(refused.receive().status == 401);
    CHECK(refused.at_end());

    r.headers["Authorization"] = "Bearer " + g.token(http::role::operator_);
    http_client client(g.port());
    client.send(r.text());
    CHECK(client.receive().status == 100);
    client.send(body);
    CHECK(client.receive().status == 201);
}

TEST_CASE("a full disk is a 507 that says so, and the partial file is gone") {
    gateway g;
    const auto body = form(sensor_1, std::string(3'000'000, 'x'));
    {
        const file_size_limit full(1'000'000);
        const auto answer = g.ask(upload_request(body));
        CHECK(answer.status == 507);
        CHECK(answer.problem() == "insufficient_storage");
        CHECK(member(answer.body, "detail").find("cannot write") != std::string::npos);
    }
    CHECK(files_left(g) == 0);
    CHECK(g.ask(upload_request(body)).status == 201);
}

TEST_CASE("an upload that would eat the reserve of the disk is refused before it is read") {
    gateway g([](http::settings& s) { s.free_bytes_min = 1ull << 60; });
    const auto answer = g.upload("1.0.0", "bytes");
    CHECK(answer.status == 507);
    CHECK(answer.problem() == "insufficient_storage");
    CHECK(files_left(g) == 0);
}

TEST_CASE("an upload repeated with its Idempotency-Key gets the first answer, another one is refused") {
    gateway g;
    auto first = upload_request(form(sensor_1, "bytes"));
    first.headers["Idempotency-Key"] = "k1";
    const auto created = g.ask(first);
    REQUIRE(created.status == 201);
    auto again = first; // as a client's retry: another boundary, the same form
    for (auto at = again.body->find("xyz"); at != std::string::npos; at = again.body->find("xyz", at + 3))
        again.body->replace(at, 3, "abc");
    again.headers["Content-Type"] = "multipart/form-data; boundary=abc";
    const auto replayed = g.ask(again);
    CHECK(replayed.status == 201);
    CHECK(replayed.body == created.body);
    CHECK(replayed.header("idempotency-replayed") == "true");
    auto other = upload_request(form(sensor_1, "other bytes"));
    other.headers["Idempotency-Key"] = "k1";
    CHECK(g.ask(other).problem() == "key_reused");
    CHECK(g.ask(other, http::role::operator_).problem() == "version_exists"); // a key belongs to one token
}
