// The bytes: fw/get by MQTT, who may download by HTTP, and what served bytes do to an update.
#include "certs/digest.hpp"
#include "fota/block_cache.hpp"
#include "fota/signed_url.hpp"
#include "world.hpp"

using namespace fb::test;

namespace {

std::string image(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + i / 256);
    return bytes;
}

struct offered {
    world w;
    std::string bytes;
    std::string firmware, update;

    explicit offered(std::size_t size)
        : bytes(image(size)) {
        w.come("dev1");
        firmware = w.add_firmware("1.1.0", bytes);
        update = to_string(w.trigger(firmware, {"dev1"}).updates.at(0).row.id);
    }
    std::vector<fb::fota::broker_port::chunk> get(const std::string& json, const std::string& response_topic = "") {
        w.broker.chunks.clear();
        w.fetch("dev1", json, response_topic);
        return w.broker.chunks;
    }
    std::string error(const std::string& json, const std::string& response_topic = "") {
        const auto chunks = get(json, response_topic);
        if (chunks.size() != 1 || chunks[0].topic != "device/dev1/fw/error") return "";
        return member(chunks[0].data, "code");
    }
    int http(fb::fota::download_request request, fb::fota::download_grant* out = nullptr) {
        int status = 0;
        request.firmware_id = request.firmware_id.empty() ? firmware : request.firmware_id;
        w.fota->authorize_download(request, w.now, [&](auto grant, const fb::fota::problem& why) {
            status = grant ? 200 : why.status;
            if (grant && out) *out = *grant;
        });
        return status;
    }
    /// What stands in the command's URL.
    fb::fota::download_request signed_request() {
        const auto command = w.broker.messages.front().payload;
        const auto url = member(command, "url");
        const auto part = [&](const char* key) {
            const auto at = url.find(key) + 2;
            return url.substr(at, url.find('&', at) - at);
        };
        return {firmware, part("u="), part("a="), part("e="), part("s="), std::nullopt, false};
    }
};

} // namespace

TEST_CASE("fw/get serves a whole image in order, ends with one empty message and moves the state") {
    offered o(100'000);
    std::string got;
    std::size_t empty = 0;
    while (empty == 0) {
        const auto chunks =
            o.get(R"({"rid":7,"offset":)" + std::to_string(got.size()) + R"(,"length":4096,"count":8})");
        REQUIRE(!chunks.empty());
        CHECK(chunks.size() <= 8);
        for (const auto& c : chunks) {
            CHECK(c.topic == "device/dev1/fw/data/7/" + std::to_string(got.size()));
            CHECK(c.offset == got.size());
            got += c.data;
            empty += c.data.empty();
        }
        if (got.size() < o.bytes.size()) CHECK(o.w.state(o.update) == update_state::downloading);
    }
    CHECK(got == o.bytes);
    CHECK(empty == 1);
    CHECK(o.w.state(o.update) == update_state::downloaded);
    CHECK(o.w.update(o.update).row.bytes_sent == 100'000);
}

TEST_CASE("fw/get never has more than 8 chunks or 64 KiB in flight") {
    offered o(1'000'000);
    CHECK(o.get(R"({"rid":1,"offset":0,"length":256,"count":4000000000000})").size() == 8);
    CHECK(o.get(R"({"rid":1,"offset":0,"length":32768,"count":8})").size() == 2);
    CHECK(o.get(R"({"rid":1,"offset":0,"length":65536,"count":8})").size() == 1);
    CHECK(o.get(R"({"rid":1,"offset":0,"length":40000,"count":8})").size() == 1);
    CHECK(o.get(R"({"rid":4294967295,"offset":0,"length":256})").size() == 1);
}

TEST_CASE("fw/get at or past the end answers with one empty message at offset = size and moves nothing") {
    offered o(5000);
    for (const char* offset : {"5000", "5001", "9223372036854775807"}) {
        const auto chunks = o.get(R"({"rid":7,"offset":)" + std::string(offset) + R"(,"length":4096,"count":8})");
        REQUIRE(chunks.size() == 1);
        CHECK(chunks[0].data.empty());
        CHECK(chunks[0].topic == "device/dev1/fw/data/7/5000");
    }
    CHECK(o.w.state(o.update) == update_state::offered);
}

TEST_CASE("fw/get says with a stable code what is wrong, naming the rid") {
    offered o(5000);
    CHECK(o.error(R"({"rid":7,"offset":0,"length":1})") == "malformed");
    CHECK(o.w.broker.chunks[0].data.find("\"rid\":7") != std::string::npos);
    CHECK(o.error("no json") == "malformed");
    CHECK(o.w.broker.chunks[0].data.find("\"rid\":null") != std::string::npos);
    CHECK(o.error(R"({"rid":7,"offset":0,"length":4096,"update_id":"x"})") == "wrong_update");
    CHECK(o.error(R"({"rid":7,"offset":0,"length":4096})", "device/dev2/x") == "bad_response_topic");
    CHECK(o.error(R"({"rid":7,"offset":0,"length":4096})", "device/dev1/#") == "bad_response_topic");
    for (int rid = 0; rid < 16; ++rid)
        CHECK(o.error(R"({"offset":0,"length":4096,"rid":)" + std::to_string(rid) + "}").empty());
    CHECK(o.error(R"({"rid":16,"offset":0,"length":4096})") == "busy");
    o.w.result("dev1", R"({"status":"success","version":"1.1.0"})");
    CHECK(o.error(R"({"rid":1,"offset":0,"length":4096})") == "no_update");
}

TEST_CASE("a rid stands for one artifact until its connection ends") {
    offered o(5000);
    o.get(R"({"rid":7,"offset":0,"length":4096})");
    o.w.cancel(o.update);
    o.w.trigger(o.w.add_firmware("1.2.0", image(6000)), {"dev1"});
    CHECK(o.error(R"({"rid":7,"offset":0,"length":4096})") == "rid_in_use");
    CHECK(o.error(R"({"rid":8,"offset":0,"length":4096})").empty());
    o.w.disconnect("dev1");
    o.w.connect("dev1");
    CHECK(o.error(R"({"rid":7,"offset":0,"length":4096})").empty());
}

TEST_CASE("a response topic and correlation data are handed on") {
    offered o(5000);
    const auto chunks = o.get(R"({"rid":7,"offset":256,"length":256})", "device/dev1/reply");
    REQUIRE(chunks.size() == 1);
    CHECK(chunks[0].response_topic == "device/dev1/reply");
    CHECK(chunks[0].correlation == "corr");
    CHECK(chunks[0].offset == 256);
}

TEST_CASE("the URL in the command opens the download, and no changed one does") {
    offered o(5000);
    const auto good = o.signed_request();
    fb::fota::download_grant grant;
    CHECK(o.http(good, &grant) == 200);
    CHECK(to_string(*grant.update_id) == o.update);
    CHECK(grant.attempt == 1);
    auto bad = good;
    bad.attempt = "2";
    CHECK(o.http(bad) == 403);
    bad = good;
    bad.expires = std::to_string(std::stoll(*good.expires) + 1);
    CHECK(o.http(bad) == 403);
    bad = good;
    bad.signature->front() ^= 1;
    CHECK(o.http(bad) == 403);
    bad = good;
    bad.signature->pop_back();
    CHECK(o.http(bad) == 403);
    bad = good;
    bad.update_id = "0190b0a0-0000-7000-8000-000000000000";
    CHECK(o.http(bad) == 403);
    bad = good;
    bad.firmware_id = o.w.add_firmware("9.0.0");
    CHECK(o.http(bad) == 403);
    bad = good;
    bad.expires.reset();
    CHECK(o.http(bad) == 403);
    CHECK(o.http({}) == 401);
}

TEST_CASE("a download URL ends with its expiry and an hour after its update") {
    offered o(5000);
    const auto good = o.signed_request();
    SUBCASE("expiry") {
        o.w.now += std::chrono::hours(30 * 24 + 1) + 1s;
        CHECK(o.http(good) == 403);
    }
    SUBCASE("ended") {
        o.w.cancel(o.update);
        o.w.wait(59min);
        CHECK(o.http(good) == 200);
        o.w.wait(1min);
        CHECK(o.http(good) == 403);
    }
}

TEST_CASE("a device's certificate alone opens the firmware of its open update") {
    offered o(5000);
    fb::fota::download_request request;
    request.certificate_device_id = "dev1";
    CHECK(o.http(request) == 200);
    request.certificate_device_id = "dev2";
    CHECK(o.http(request) == 403);
    request.certificate_device_id = "dev1";
    request.firmware_id = o.w.add_firmware("9.0.0");
    CHECK(o.http(request) == 403);
}

TEST_CASE("revoked firmware is gone for everybody") {
    offered o(5000);
    o.w.fota->revoke_firmware(o.firmware, "olga", o.w.now, [](auto, const auto&) {});
    o.w.work();
    CHECK(o.http(o.signed_request()) == 410);
    fb::fota::download_request by_operator;
    by_operator.by_operator = true;
    CHECK(o.http(by_operator) == 410);
    by_operator.firmware_id = "0190b0a0-0000-7000-8000-000000000000";
    CHECK(o.http(by_operator) == 404);
    CHECK(o.error(R"({"rid":1,"offset":0,"length":4096})") == "revoked");
}

TEST_CASE("bytes served by HTTP move the update, an operator's download does not") {
    offered o(5000);
    fb::fota::download_grant grant;
    o.http(o.signed_request(), &grant);
    auto by_operator = grant;
    by_operator.update_id.reset();
    o.w.fota->bytes_served(by_operator, 0, 5000, o.w.now);
    o.w.work();
    CHECK(o.w.state(o.update) == update_state::offered);
    o.w.fota->bytes_served(grant, 0, 1000, o.w.now);
    o.w.work();
    CHECK(o.w.state(o.update) == update_state::downloading);
    o.w.store.state = disk::held; // the rest while a write is in flight
    o.w.fota->bytes_served(grant, 1000, 5000, o.w.now);
    o.w.store.state = disk::well;
    o.w.work();
    CHECK(o.w.state(o.update) == update_state::downloaded);
    CHECK(o.w.update(o.update).row.percent == 100);
}

TEST_CASE("bytes of an attempt that is over count for nothing") {
    offered o(5000);
    fb::fota::download_grant grant;
    o.http(o.signed_request(), &grant);
    o.w.result("dev1", R"({"status":"failed","version":"1.1.0"})");
    o.w.wait(5min);
    o.w.fota->bytes_served(grant, 0, 5000, o.w.now);
    o.w.work();
    CHECK(o.w.state(o.update) == update_state::offered);
}

TEST_CASE("the block cache reads each block once and keeps to its size") {
    scratch_dir directory;
    auto blobs = *fb::storage::blob_files::open(directory.path());
    const auto bytes = image(300'000);
    const auto name = fb::certs::sha256_hex(bytes);
    auto writer = blobs.create();
    REQUIRE(writer->write(bytes));
    REQUIRE(writer->commit(name));
    fb::fota::block_cache cache(blobs, 128 * 1024);
    for (int round = 0; round < 3; ++round) CHECK(*cache.read(name, 60'000, 10'000) == bytes.substr(60'000, 10'000));
    CHECK(cache.disk_reads() == 2);
    for (std::uint64_t at = 0; at < bytes.size(); at += 50'000)
        CHECK(*cache.read(name, at, 50'000) == bytes.substr(at, 50'000));
    CHECK(cache.bytes() <= 128 * 1024);
    CHECK(cache.read(name, 299'999, 500)->size() == 1);
    CHECK(cache.read(name, 300'000, 500)->empty());
    CHECK_FALSE(cache.read(std::string(64, '0'), 0, 10));
}
