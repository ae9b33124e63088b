// MQTT over WebSocket against a whole broker: moving between shards, large packets both ways, control frames, faults.
#include "running_broker.hpp"

#include <deque>

#include "tests/support/test_certificates.hpp"

using namespace fb;
using namespace fb::test;
using namespace std::string_literals;

namespace {

const net::websocket_settings at_mqtt{};

struct ws_peer : peer {
    explicit ws_peer(std::uint16_t port)
        : peer(port) {
        REQUIRE(upgrade());
    }
};

std::string connect_packet(const std::string& id) {
    proto::connect p;
    p.client_id = id;
    std::string out;
    proto::encode(p, out);
    return out;
}

} // namespace

TEST_CASE("over WebSocket clients come home to their shards and talk to each other") {
    for (const core::shard_id shards : std::initializer_list<core::shard_id>{1, 4}) {
        running_broker b({.shards = shards, .websocket = at_mqtt});
        CHECK(b.url == "ws://127.0.0.1:" + std::to_string(b.port) + "/mqtt");
        std::deque<ws_peer> readers;
        for (core::shard_id s = 0; s < shards; ++s) {
            readers.emplace_back(b.port);
            REQUIRE(readers.back().connect(id_on(s, shards, "reader")));
            readers.back().subscribe("t/#");
        }
        for (core::shard_id s = 0; s < shards; ++s) {
            ws_peer writer(b.port);
            REQUIRE(writer.connect(id_on(s, shards, "writer")));
            writer.send(peer::publish("t/x", "from " + std::to_string(s)));
            for (peer& r : readers) {
                REQUIRE(r.next().type == proto::packet_type::publish);
                CHECK(r.payload() == "from " + std::to_string(s));
            }
        }
        CHECK((shards == 1 || b.metric("fotabroker_connections_moved_total") > 0));
        CHECK(b.metric("fotabroker_websocket_upgrades_total") == 2 * shards);
    }
}

TEST_CASE("v5[MQTT-6.0.0-2] v311[MQTT-6.0.0-2] packets are cut and joined over frames in any way") {
    running_broker b({.shards = 4, .websocket = at_mqtt});
    for (core::shard_id home = 0; home < 4; ++home) {
        for (const std::size_t each : {1, 3, 50, 10'000}) {
            for (const bool one_message : {false, true}) {
                ws_peer c(b.port);
                const std::string id = id_on(home, 4, "cut");
                c.send_raw(ws_frames(connect_packet(id) + peer::publish("cut", "x", 7), each, one_message));
                CHECK(c.next().type == proto::packet_type::connack);
                CHECK(c.next().type == proto::packet_type::puback);
            }
        }
    }
}

TEST_CASE("large packets both ways over WebSocket, in pieces, while pings go by") {
    running_broker b({.shards = 2, .websocket = at_mqtt});
    ws_peer reader(b.port), writer(b.port);
    REQUIRE(reader.connect(id_on(0, 2, "reader")));
    REQUIRE(writer.connect(id_on(1, 2, "writer")));
    reader.subscribe("big", proto::qos::at_least_once);
    std::string large(3 << 20, '\0');
    for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 % 251);
    for (int round = 0; round < 4; ++round) {
        reader.send_raw(ws_frame("r" + std::to_string(round), ws_ping));
        writer.send_raw(
            ws_frames(peer::publish("big", large, static_cast<proto::packet_id>(round + 1)), 70'001, round % 2 == 0));
        REQUIRE(writer.next().type == proto::packet_type::puback);
    }
    for (int round = 0; round < 4; ++round) {
        REQUIRE(reader.next().type == proto::packet_type::publish);
        CHECK(reader.payload() == large);
    }
}

TEST_CASE("a ping is answered at every time, also before CONNECT") {
    running_broker b({.websocket = at_mqtt});
    ws_peer c(b.port);
    c.send_raw(ws_frame("early", ws_ping) + ws_frame("", ws_pong));
    REQUIRE(c.connect("c"));
    c.send_raw(ws_frame("late", ws_ping));
    c.send(std::string("\xC0\0", 2));
    CHECK(c.next().type == proto::packet_type::pingresp);
    CHECK(c.control == "pong:early pong:late ");
}

TEST_CASE("v5[MQTT-6.0.0-1] v311[MQTT-6.0.0-1] a text frame and other faults end the connection with a reason") {
    running_broker b({.shards = 2, .websocket = at_mqtt});
    struct row {
        std::string bytes, close;
    };
    std::uint64_t broken = 0;
    for (const row& r : {row{ws_frame("hello", ws_text), "close:1003"}, row{"\x82\x05hello", "close:1002"},
                         row{ws_frame("x", ws_continuation), "close:1002"}}) {
        ws_peer c(b.port);
        REQUIRE(c.connect("c"));
        c.send_raw(r.bytes);
        CHECK(c.next().type == proto::packet_type::disconnect);
        CHECK(c.reason() == 0x82);
        CHECK(c.closed());
        CHECK(c.control == r.close);
        CHECK(b.metric("fotabroker_websocket_broken_total") == ++broken);
        ws_peer early(b.port);
        early.send_raw(r.bytes);
        CHECK(early.closed());
        CHECK(early.control == r.close);
        CHECK(b.metric("fotabroker_websocket_broken_total") == ++broken);
    }
}

TEST_CASE("DISCONNECT and Close in one go are a goodbye; the Close is answered and the connection ends") {
    running_broker b({.shards = 2, .websocket = at_mqtt});
    proto::will w;
    w.topic = "gone";
    w.payload = "without a goodbye";
    ws_peer watcher(b.port);
    REQUIRE(watcher.connect("watcher"));
    watcher.subscribe("gone");
    const std::string goodbye = ws_frame("\xE0\0"s) + ws_frame("\x03\xE8", ws_close);
    for (const std::string& last : {goodbye, ws_frame("\x03\xE8", ws_close)}) {
        ws_peer c(b.port);
        c.say_connect("c", 0, w);
        REQUIRE(c.next().type == proto::packet_type::connack);
        c.send_raw(last);
        CHECK(c.closed());
        CHECK(c.control == "close:1000");
    }
    REQUIRE(watcher.next().type == proto::packet_type::publish); // of the second alone
    watcher.send(peer::publish("gone", "end"));
    watcher.next();
    CHECK(watcher.payload() == "end");
}

TEST_CASE("the broker's own goodbye ends with a Close") {
    running_broker b({.websocket = at_mqtt});
    ws_peer c(b.port);
    REQUIRE(c.connect("c"));
    std::thread stopping([&] { b.stop(); });
    CHECK(c.next().type == proto::packet_type::disconnect);
    CHECK(c.reason() == 0x8B);
    CHECK(c.closed());
    CHECK(c.control == "close:1000");
    c.close();
    stopping.join();
}

TEST_CASE("what is no upgrade is answered, counted and closed; a half request waits no longer than a half CONNECT") {
    running_broker b({.shards = 2, .limits = {.connect_timeout_s = 1}, .websocket = at_mqtt});
    peer plain(b.port), elsewhere(b.port), mqtt(b.port), half(b.port), silent(b.port);
    CHECK_FALSE(plain.upgrade("GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n"));
    CHECK(plain.answer().starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
    CHECK_FALSE(elsewhere.upgrade(ws_request("/")));
    CHECK(elsewhere.answer().starts_with("HTTP/1.1 404 Not Found\r\n"));
    CHECK_FALSE(mqtt.upgrade(connect_packet("c")));
    CHECK(mqtt.answer().starts_with("HTTP/1.1 400 Bad Request\r\n"));
    CHECK(b.metric("fotabroker_websocket_refused_total") == 3);
    half.send("GET /mqtt HTTP/1.1\r\n");
    CHECK(half.closed());
    CHECK(silent.closed());
}

TEST_CASE("pings do not stand for CONNECT, nor for MQTT's keep-alive") {
    running_broker b({.limits = {.connect_timeout_s = 1}, .websocket = at_mqtt});
    ws_peer c(b.port);
    std::atomic<bool> over{false};
    std::thread pinging([&] {
        while (!over) {
            const std::string ping = ws_frame("", ws_ping);
            if (::send(c.fd(), ping.data(), ping.size(), MSG_NOSIGNAL) < 0) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    });
    CHECK(c.closed());
    over = true;
    pinging.join();
}

TEST_CASE("a flood of pings from a peer that does not read stops nobody") {
    running_broker b({.websocket = at_mqtt});
    ws_peer flood(b.port), c(b.port);
    REQUIRE(flood.connect("flood"));
    std::string pings;
    for (int i = 0; i < 2000; ++i) pings += ws_frame(std::string(125, 'p'), ws_ping);
    std::thread sender([&] {
        for (int i = 0; i < 20; ++i) flood.send_raw(pings);
    });
    REQUIRE(c.connect("c"));
    c.subscribe("x");
    c.send(peer::publish("x", "through"));
    CHECK(c.next().type == proto::packet_type::publish);
    sender.join();
}

TEST_CASE("secure WebSocket: the certificate makes the device, on whichever shard") {
    fb::tests::test_authority authority("dev-1");
    running_broker b(
        {.shards = 4,
         .tls = std::make_shared<certs::tls_context>(authority.settings(certs::client_certificates::required)),
         .websocket = at_mqtt});
    CHECK(b.url.starts_with("wss://"));
    const std::unique_ptr<SSL_CTX, certs::ssl_ctx_free> context(SSL_CTX_new(TLS_client_method()));
    const auto crt = authority.file("dev-1.crt");
    auto key = crt;
    key.replace_extension(".key");
    REQUIRE(SSL_CTX_use_certificate_chain_file(context.get(), crt.c_str()) == 1);
    REQUIRE(SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) == 1);
    for (core::shard_id s = 0; s < 4; ++s) {
        peer c(b.port);
        REQUIRE(c.secure(context.get()));
        REQUIRE(c.upgrade());
        REQUIRE(c.connect(id_on(s, 4, "dev-1/c")));
        c.subscribe("device/dev-1/#");
        const std::string large(600'000, 'x');
        c.send_raw(ws_frame("", ws_ping));
        c.send(peer::publish("device/dev-1/telemetry/x", large));
        REQUIRE(c.next().type == proto::packet_type::publish);
        CHECK(c.payload() == large);
        CHECK(c.control == "pong: ");
    }
}
