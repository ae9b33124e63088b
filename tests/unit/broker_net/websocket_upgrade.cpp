// The HTTP request with which a WebSocket begins: what is answered with 101, and what with which refusal.
#include <doctest/doctest.h>

#include "broker/net/websocket_upgrade.hpp"
#include "tests/support/websocket_client.hpp"

using namespace fb::net;
using fb::test::ws_request;

namespace {

const websocket_settings any{};

std::string without(std::string request, const std::string& field) {
    const auto at = request.find("\r\n" + field) + 2;
    return request.erase(at, request.find("\r\n", at) + 2 - at);
}

std::string with(std::string request, const std::string& old, const std::string& now) {
    const auto at = request.find(old);
    REQUIRE(at != std::string::npos);
    return request.replace(at, old.size(), now);
}

int status(const upgrade_answer& a) { return std::stoi(a.response.substr(9, 3)); }

bool has(const upgrade_answer& a, const std::string& line) {
    return a.response.find("\r\n" + line + "\r\n") != std::string::npos;
}

} // namespace

TEST_CASE("v5[MQTT-6.0.0-4] v311[MQTT-6.0.0-4] an upgrade is answered with RFC 6455's example and sub-protocol mqtt") {
    const auto a = answer_upgrade(ws_request(), 0, any);
    REQUIRE(a);
    CHECK(a->refusal.empty());
    CHECK(status(*a) == 101);
    CHECK(has(*a, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    CHECK(has(*a, "Sec-WebSocket-Protocol: mqtt"));
    CHECK(has(*a, "Upgrade: websocket"));
    CHECK(has(*a, "Connection: Upgrade"));
    CHECK(a->response.ends_with("\r\n\r\n"));
}

TEST_CASE("a request is read however it is cut") {
    const std::string request = ws_request();
    for (std::size_t split = 0; split < request.size(); ++split) {
        CHECK_FALSE(answer_upgrade(request.substr(0, split), split / 2, any));
        const auto a = answer_upgrade(request, split, any);
        REQUIRE(a);
        CHECK(a->refusal.empty());
    }
}

TEST_CASE("the sub-protocol may be one of many; old clients say mqttv3.1") {
    for (const char* offer : {"soap, mqtt", "mqttv3.1,mqtt", "soap\r\nSec-WebSocket-Protocol: mqtt"}) {
        const auto a = answer_upgrade(with(ws_request(), "Protocol: mqtt", std::string("Protocol: ") + offer), 0, any);
        REQUIRE(a);
        CHECK(has(*a, "Sec-WebSocket-Protocol: mqtt"));
    }
    const auto old = answer_upgrade(with(ws_request(), "Protocol: mqtt", "Protocol: mqttv3.1"), 0, any);
    REQUIRE(old);
    CHECK(has(*old, "Sec-WebSocket-Protocol: mqttv3.1"));
}

TEST_CASE("v5[MQTT-6.0.0-3] v311[MQTT-6.0.0-3] what is no upgrade to MQTT is refused with a status and a sentence") {
    struct row {
        const char* name;
        std::string request;
        int status;
    };
    const std::string good = ws_request();
    const row rows[] = {
        {"a plain GET", "GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n", 426},
        {"another path", ws_request("/other"), 404},
        {"a path that begins alike", ws_request("/mqttx"), 404},
        {"POST", with(good, "GET", "POST"), 405},
        {"HTTP/1.0", with(good, "HTTP/1.1", "HTTP/1.0"), 426},
        {"no Upgrade", without(good, "Upgrade"), 426},
        {"no Connection", without(good, "Connection"), 426},
        {"no Host", without(good, "Host"), 400},
        {"no version", without(good, "Sec-WebSocket-Version"), 400},
        {"version 8", with(good, "Version: 13", "Version: 8"), 426},
        {"no key", without(good, "Sec-WebSocket-Key"), 400},
        {"a short key", with(good, "dGhl", ""), 400},
        {"a key that is no base64", with(good, "dGhl", "d*hl"), 400},
        {"no sub-protocol", without(good, "Sec-WebSocket-Protocol"), 400},
        {"another sub-protocol", with(good, "Protocol: mqtt", "Protocol: mqttx"), 400},
        {"a body", ws_request("/mqtt", "Content-Length: 3\r\n") + "abc", 400},
        {"an announced body", ws_request("/mqtt", "Content-Length: 3\r\n"), 400},
        {"chunks", ws_request("/mqtt", "Transfer-Encoding: chunked\r\n"), 400},
        {"frames before the answer", good + fb::test::ws_frame("x"), 400},
        {"MQTT", std::string("\x10\x0C\0\x04MQTT", 8), 400},
        {"a TLS hello", "\x16\x03\x01", 400},
        {"nonsense", "GET\r\n\r\n", 400},
        {"an endless header", "GET / HTTP/1.1\r\nX: " + std::string(upgrade_bytes_max, 'x'), 431},
    };
    for (const row& r : rows) {
        CAPTURE(r.name);
        const auto a = answer_upgrade(r.request, 0, any);
        REQUIRE(a);
        CHECK(status(*a) == r.status);
        CHECK(a->refusal.size() > 10);
        CHECK(a->response.ends_with("\r\n\r\n" + a->refusal + "\n"));
        CHECK(has(*a, "Connection: close"));
        CHECK(has(*a, "Sec-WebSocket-Version: 13") == (r.status == 426));
    }
}

TEST_CASE("with a list of origins only their pages may connect, and programs, which have none") {
    const websocket_settings s{"/ws", {"https://console.example"}};
    CHECK(answer_upgrade(ws_request("/ws", "Origin: https://console.example\r\n"), 0, s)->refusal.empty());
    CHECK(answer_upgrade(ws_request("/ws?token=1"), 0, s)->refusal.empty());
    CHECK(status(*answer_upgrade(ws_request("/ws", "Origin: https://evil.example\r\n"), 0, s)) == 403);
    CHECK(status(*answer_upgrade(ws_request("/ws", "Origin: null\r\n"), 0, s)) == 403);
    CHECK(answer_upgrade(ws_request("/mqtt", "Origin: https://evil.example\r\n"), 0, any)->refusal.empty());
}
