// The WebSocket frame codec: payload of whatever frames, what a client may not send, and what is sent in which order.
#include <doctest/doctest.h>

#include "broker/net/websocket_frames.hpp"
#include "tests/support/websocket_client.hpp"

using namespace fb::test;
using fb::net::websocket_frames;
using namespace std::string_literals;

namespace {

/// Everything decoded, given in pieces of at most `each` bytes.
std::string decoded(websocket_frames& f, std::string bytes, std::size_t each = SIZE_MAX) {
    std::string out;
    for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t part = std::min(each, bytes.size() - at);
        out.append(bytes.data() + at, f.decode({bytes.data() + at, part}));
        at += part;
    }
    return out;
}

/// What is sent for `output`, if each write takes `each` bytes.
std::string sent(websocket_frames& f, std::string_view output, std::size_t each = SIZE_MAX) {
    std::string wire;
    while (!output.empty() || f.has_control()) {
        std::string next(f.prepare(output.size()));
        next += output.substr(0, f.frame_left());
        if (next.empty()) break;
        next.resize(std::min(each, next.size()));
        wire += next;
        output.remove_prefix(f.sent(next.size()));
    }
    return wire;
}

std::string code_of_close(websocket_frames& f) {
    f.say_close();
    return sent(f, {});
}

std::string numbers(std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += static_cast<char>(i * 31 % 251);
    return out;
}

} // namespace

TEST_CASE("v5[MQTT-6.0.0-2] v311[MQTT-6.0.0-2] payload is the same however frames and reads cut it") {
    const std::string payload = numbers(1000);
    for (const std::size_t frame : {1, 7, 125, 126, 999, 1000}) {
        for (const bool one_message : {false, true}) {
            const std::string wire = ws_frames(payload, frame, one_message);
            for (const std::size_t read : {1, 2, 3, 8, 13, 64, 100'000}) {
                websocket_frames f;
                CHECK(decoded(f, wire, read) == payload);
                CHECK_FALSE(f.ended());
            }
        }
    }
}

TEST_CASE("control frames between fragments are answered and are no payload, split at every byte") {
    const std::string wire = ws_frame("one", ws_binary - ws_not_final) + ws_frame("ping!", ws_ping) +
                             ws_frame("", ws_pong) + ws_frame("", ws_continuation - ws_not_final) +
                             ws_frame("two", ws_continuation) + ws_frame("three");
    for (std::size_t split = 0; split <= wire.size(); ++split) {
        websocket_frames f;
        std::string payload = decoded(f, wire.substr(0, split));
        payload += decoded(f, wire.substr(split));
        CHECK(payload == "onetwothree");
        CHECK(sent(f, {}) == "\x8A\x05ping!");
        CHECK_FALSE(f.has_control());
        CHECK_FALSE(f.ended());
    }
}

TEST_CASE("a frame of 64 KiB and more") {
    const std::string payload = numbers(70'000);
    websocket_frames f;
    CHECK(decoded(f, ws_frame(payload), 4096) == payload);
    const std::string wire = sent(f, payload, 1000);
    CHECK(wire.substr(0, 10) == "\x82\x7F\0\0\0\0\0\x01\x11\x70"s);
    CHECK(wire.substr(10) == payload);
}

TEST_CASE("v5[MQTT-6.0.0-1] v311[MQTT-6.0.0-1] what a client may not send ends the connection with its code") {
    struct row {
        const char* name;
        std::string bytes;
        int code;
    };
    const std::string mask(4, '\0');
    const row rows[] = {
        {"text", ws_frame("x", ws_text), 1003},
        {"text in fragments", ws_frame("x", ws_text - ws_not_final), 1003},
        {"not masked", "\x82\x01"s, 1002},
        {"a reserved bit", ws_frame("x", ws_binary | 0x40), 1002},
        {"a reserved data opcode", ws_frame("x", 0x83), 1002},
        {"a reserved control opcode", ws_frame("x", 0x8B), 1002},
        {"a continuation of nothing", ws_frame("x", ws_continuation), 1002},
        {"a message within a message", ws_frame("x", ws_binary - ws_not_final) + ws_frame("x"), 1002},
        {"a ping in fragments", ws_frame("x", ws_ping - ws_not_final), 1002},
        {"a long ping", "\x89\xFE"s, 1002},
        {"a Close of one byte", ws_frame("x", ws_close), 1002},
        {"a Close with a code nobody may send", ws_frame("\x03\xED"s, ws_close), 1002},
        {"a Close with code 0", ws_frame("\0\0"s, ws_close), 1002},
        {"a length longer than needed", "\x82\xFE\0\x7D"s + mask, 1002},
        {"a long length longer than needed", "\x82\xFF\0\0\0\0\0\0\xFF\xFF"s + mask, 1002},
        {"a length with the highest bit", "\x82\xFF\x80\0\0\0\0\0\0\0"s + mask, 1002},
        {"a length beyond every MQTT packet", "\x82\xFF\0\0\0\0\x10\0\0\x05"s + mask, 1009},
    };
    for (const row& r : rows) {
        CAPTURE(r.name);
        websocket_frames f;
        CHECK(decoded(f, ws_frame("before") + r.bytes + ws_frame("behind"), 1).starts_with("before"));
        CHECK(f.fault() != nullptr);
        CHECK(decoded(f, ws_frame("later")).empty());
        const std::string close = code_of_close(f);
        REQUIRE(close.size() == 4);
        CHECK((static_cast<std::uint8_t>(close[2]) << 8 | static_cast<std::uint8_t>(close[3])) == r.code);
    }
}

TEST_CASE("the largest frame there may be is begun") {
    websocket_frames f;
    CHECK(decoded(f, "\x82\xFF\0\0\0\0\x10\0\0\x04\0\0\0\0abc"s) == "abc");
    CHECK_FALSE(f.ended());
}

TEST_CASE("a Close is answered with its code, once, and nothing is sent behind it") {
    struct row {
        std::string payload, answer;
    };
    for (const row& r :
         {row{"", "\x88\0"s}, row{"\x03\xE8", "\x88\x02\x03\xE8"}, row{"\x0F\xA0 bye", "\x88\x02\x0F\xA0"}}) {
        websocket_frames f;
        CHECK(decoded(f, ws_frame("last") + ws_frame(r.payload, ws_close) + ws_frame("more")) == "last");
        CHECK(f.ended());
        CHECK(f.fault() == nullptr);
        f.say_close();
        CHECK(sent(f, "output that comes too late") == r.answer);
        CHECK_FALSE(f.has_control());
    }
}

TEST_CASE("what is sent byte by byte is what is sent at once, and control frames stay between frames") {
    websocket_frames f;
    decoded(f, ws_frame("a", ws_ping));
    const std::string begun(f.prepare(5));
    CHECK(begun == "\x8A\x01"
                   "a\x82\x05");
    decoded(f, ws_frame("b", ws_ping)); // while the frame is under way
    CHECK(f.sent(begun.size() + 2) == 2);
    CHECK_FALSE(f.idle());
    CHECK(f.frame_left() == 3);
    CHECK(f.prepare(10).empty());
    CHECK(f.sent(3) == 3);
    CHECK(sent(f, "xy", 1) == "\x8A\x01"
                              "b\x82\x02xy");
    CHECK(f.idle());
}

TEST_CASE("a peer that pings and does not read makes nothing grow") {
    websocket_frames f;
    const std::string ping = ws_frame(std::string(125, 'p'), ws_ping);
    std::size_t waiting = 0;
    for (int i = 0; i < 1000; ++i) {
        decoded(f, ping);
        waiting = f.prepare(0).size();
    }
    CHECK(waiting == 127);
    CHECK(sent(f, {}).size() == 2 * 127);
}
