// The classes of other brokers' published vulnerabilities that an engine can have; docs/security-tests.md is the whole
// list. Method: transcripts, which the sanitizers judge as well.
#include <doctest/doctest.h>

#include <random>

#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;
using core::close_cause;

namespace {

std::string text(std::string_view s) {
    return std::string{static_cast<char>(s.size() >> 8), static_cast<char>(s.size() & 0xFF)} + std::string(s);
}

std::string packet(unsigned char first, std::string_view body) {
    std::string bytes(1, static_cast<char>(first));
    std::size_t left = body.size();
    do {
        bytes += static_cast<char>((left & 0x7F) | (left > 0x7F ? 0x80 : 0));
        left >>= 7;
    } while (left > 0);
    return bytes.append(body);
}

/// `wrong` ends the connection it comes on, and nobody notices else.
void only_harms_itself(std::string_view wrong) {
    INFO("first byte " << int(static_cast<unsigned char>(wrong.empty() ? 0 : wrong.front())));
    broker b;
    auto& other = b.client("other").connect().expect("CONNACK 00").subscribe("t", 1).expect("SUBACK #1 01");
    auto& c = b.client("c").connect().expect("CONNACK 00");
    c.send_bytes(wrong);
    CHECK_FALSE(c.online());
    b.client("p").connect().expect("CONNACK 00").publish("t", "x", 1).expect("PUBACK #1");
    other.expect("PUBLISH t 'x' q1 #1");
}

connect_options leaving_a_will(std::uint32_t expiry_s, std::uint32_t delay_s) {
    connect_options o;
    o.clean = false;
    o.expiry_s = expiry_s;
    o.will.emplace();
    o.will->topic = "will";
    o.will->payload = "gone";
    o.will->delay_s = delay_s;
    return o;
}

} // namespace

TEST_CASE("CVE-2017-7650's class: a wildcard in a client id or a name never acts as one in a rule with %d") {
    broker_setup setup;
    setup.acl = core::acl(std::vector{core::acl_rule{"*", {"own/%d/x"}, {"own/%d/#"}}});
    broker b(setup);
    for (const char* id : {"+", "#", "+/x", "#/x"}) {
        b.client(id).by_client_id().connect().expect("CONNACK 85");
        // Even if a certificate named a device so, it would stand for itself alone.
        auto& c = b.client(std::string("as ") + id).named(id).device(id).connect();
        c.expect("CONNACK 00").subscribe("device/dev1/#").expect("SUBACK #1 87");
        c.publish("device/dev1/status", "forged", 1).expect("PUBACK #2 87");
        auto& user = b.client(std::string("user ") + id).as({core::principal_kind::password, id, {}, {}}).connect();
        user.expect("CONNACK 00").subscribe("own/dev1/x").expect("SUBACK #1 87");
        user.publish("own/dev1/x", "forged", 1).expect("PUBACK #2 87");
    }
}

TEST_CASE("CVE-2017-7653's and CVE-2018-12543's class: bad UTF-8 and odd $ topics harm nobody else") {
    for (const char* topic : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xe2\x82", "\xfe\xff"}) {
        only_harms_itself(packet(0x30, text(topic) + std::string(1, '\0')));
        only_harms_itself(packet(0x82, std::string("\0\1\0", 3) + text(topic) + "\1"));
        only_harms_itself(packet(0xA2, std::string("\0\1\0", 3) + text(topic)));
    }
    broker b;
    auto& c = b.client("c").connect().expect("CONNACK 00").subscribe("#", 1).expect("SUBACK #1 01");
    for (const char* topic : {"$", "$/", "$x", "$$", "$SYS", "$SYS/a", "$share", "$share/g/a", "$CONTROL/x"}) {
        c.publish(topic, "x", 1);
        CHECK(c.online());
        for (const std::string& line : c.take()) CHECK(line.starts_with("PUBACK"));
    }
}

TEST_CASE("CVE-2018-12550's class: rules that grant nothing grant nothing") {
    broker_setup setup;
    setup.acl = core::acl(std::vector{core::acl_rule{"anonymous", {}, {}}});
    broker b(setup);
    auto& c = b.client("c").connect().expect("CONNACK 00");
    c.subscribe("a").expect("SUBACK #1 87").subscribe("#").expect("SUBACK #2 87");
    c.publish("a", "x", 1).expect("PUBACK #3 87");
}

TEST_CASE("CVE-2019-11778's class: a will's delay and its session's expiry may end in any order") {
    for (const std::uint32_t expiry_s : {0u, 1u, 5u, 6u}) {
        for (const std::uint32_t delay_s : {0u, 1u, 5u, 6u, 0xFFFF'FFFFu}) {
            fail_at_every_step({}, [&](broker& b) {
                auto& w = b.client("w").connect().expect("CONNACK 00").subscribe("will").expect("SUBACK #1 02");
                auto& c = b.client("c").connect(leaving_a_will(expiry_s, delay_s)).expect("CONNACK 00").cut();
                b.after(5);
                c.connect(leaving_a_will(expiry_s, delay_s)).take();
                c.cut();
                b.after(20);
                const std::size_t wills = w.take().size();
                if (!b.muted()) CHECK((wills == 1 || wills == 2));
            });
        }
    }
}

TEST_CASE("CVE-2019-11779's class: a topic of slashes alone is refused by its levels") {
    broker b;
    const std::string deep(65'535, '/'), fits(31, '/');
    auto& c = b.client("c").connect().expect("CONNACK 00");
    c.subscribe(deep).expect("SUBACK #1 8f").unsubscribe({deep}).expect("UNSUBACK #2 11");
    c.publish(deep, "x", 1).expect("PUBACK #3 90");
    c.subscribe(fits, 1).expect("SUBACK #4 01").publish(fits, "x", 1);
    c.expect("PUBLISH " + fits + " 'x' q1 #1").expect("PUBACK #5");
    connect_options o = leaving_a_will(0, 0);
    o.will->topic = std::string_view(deep).substr(0, 1000);
    b.client("d").connect(o).expect("CONNACK 90");
}

TEST_CASE("CVE-2021-28166's class: what only a server sends ends the connection, before CONNECT too") {
    const std::string acknowledgement("\0\1\0\0", 4);
    for (const int kind : {2, 9, 11, 13, 15, 0}) {
        const auto first = static_cast<unsigned char>(kind << 4);
        for (const std::string& body : {std::string(), std::string("\0\0", 2), acknowledgement}) {
            only_harms_itself(packet(first, body));
            broker b;
            auto& c = b.client("c").open();
            c.send_bytes(packet(first, body));
            CHECK_FALSE(c.online());
        }
    }
}

TEST_CASE("CVE-2021-34432's class: an empty topic or filter ends its own connection") {
    only_harms_itself(packet(0x30, std::string("\0\0\0", 3)));
    only_harms_itself(packet(0x32, std::string("\0\0\0\1\0", 5)));
    only_harms_itself(packet(0x82, std::string("\0\1\0\0\0\0", 6)));
    only_harms_itself(packet(0xA2, std::string("\0\1\0\0\0", 5)));
}

TEST_CASE("CVE-2021-41039's class: a flood of user properties is not passed on: as little in a will as in a PUBLISH") {
    std::string many;
    for (int i = 0; i < 5000; ++i) many += '\x26' + text("k") + text("v");
    const std::string block = packet(0, many).substr(1); // with its length
    broker b;
    auto& c = b.client("c").open();
    c.send_bytes(packet(0x10, text("MQTT") + std::string("\5\6\0\0\0", 5) + text("c") + block + text("t") + text("x")));
    c.expect("CONNACK 97").expect_closed(close_cause::refused);
    c.connect().expect("CONNACK 00");
    c.send_bytes(packet(0x32, text("t") + std::string("\0\1", 2) + block)).expect("PUBACK #1 97");
    c.send_bytes(packet(0x82, std::string("\0\2", 2) + block + text("a") + "\1")).expect("DISCONNECT 97");
    c.connect().expect("CONNACK 00");
    c.send_bytes(packet(0xA2, std::string("\0\3", 2) + block + text("a"))).expect("DISCONNECT 97");
}

TEST_CASE("what may not be published may not be a will, either") {
    broker b;
    connect_options o = leaving_a_will(0, 0);
    for (const char* topic : {"$SYS/broker/version", "$SYS/"}) {
        o.will->topic = topic;
        b.client("c").connect(o).expect("CONNACK 87").expect_closed(close_cause::refused);
    }
}

TEST_CASE(
    "CVE-2023-28366's class: a QoS 2 message sent again and again is kept once, and unreleased ones have a bound") {
    broker_setup setup;
    setup.limits.receive_maximum = 20;
    broker b(setup);
    b.client("absent").resume().expect("CONNACK 00").subscribe("a", 2).expect("SUBACK #1 02").cut();
    auto& p = b.client("p").connect().expect("CONNACK 00");
    publish_options o;
    o.id = 1;
    for (int i = 0; i < 1000; ++i) {
        p.publish("a", "x", 2, o).expect("PUBREC #1");
        o.dup = true;
    }
    CHECK(b.store().row_count() == 1);
    for (proto::packet_id id = 2; id <= 20; ++id) {
        o.id = id;
        p.publish("a", "x", 2, o).expect("PUBREC #" + std::to_string(id));
    }
    o.id = 21;
    p.publish("a", "x", 2, o).expect("DISCONNECT 93");
    CHECK(b.store().row_count() == 20);
}

TEST_CASE("CVE-2024-8376's class: CONNECT, SUBSCRIBE and UNSUBSCRIBE in any order leave nothing behind") {
    fail_at_every_step({}, [](broker& b) {
        auto& c = b.client("c");
        c.open().subscribe("a");
        c.open().unsubscribe({"a"});
        c.resume(5).subscribe("a").unsubscribe({"a", "a"}).unsubscribe({"never"}).subscribe("a").subscribe("a");
        c.send(proto::connect{});
        c.resume(5).unsubscribe({"a"}).publish("a", "x", 2).disconnect();
        c.connect().subscribe("a").cut();
        c.take();
    });
}

TEST_CASE("CVE-2026-21888's class: a length is read within its bytes, wherever the packet is cut") {
    for (const std::string& length : {std::string("\x80"), std::string("\xff\xff"), std::string("\x80\x80\x80"),
                                      std::string("\xff\xff\xff\xff"), std::string("\x80\x80\x80\x80\x01"),
                                      std::string("\xff\xff\xff\xff\x7f"), std::string("\x80\x80\x80\x00", 4)}) {
        for (const char kind : {'\x10', '\x30', '\x62', '\x82', '\xE0'}) {
            const auto first = static_cast<unsigned char>(kind);
            broker_setup setup;
            setup.feed_bytes = 1;
            broker b(setup);
            auto& c = b.client("c").connect().expect("CONNACK 00");
            c.send_bytes(static_cast<char>(first) + length);
            CHECK(c.online() == (length.size() < 4)); // incomplete, or refused
            // The same as the length of the properties, with nothing behind it.
            auto& d = b.client("d").connect().expect("CONNACK 00");
            d.send_bytes(packet(first, (first == 0x30 ? text("t") : std::string("\0\1", 2)) + length));
            CHECK_FALSE(d.online());
        }
    }
}

TEST_CASE("CVE-2026-22040's and CVE-2025-59946's class: clients that reconnect, subscribe and leave at random") {
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    broker_setup setup;
    setup.shards = 3;
    setup.limits.session_expiry_max_s = 100;
    broker b(setup);
    const std::vector<std::string> filters{"a", "a/b", "+/b", "#", "$share/g/a", "$share/g/+/b"};
    for (int i = 0; i < 5000; ++i) {
        auto& c = b.client("c" + std::to_string(random() % 8));
        const std::string& filter = filters[random() % filters.size()];
        switch (random() % 9) {
        case 0: c.connect(); break;
        case 1: c.resume(10); break;
        case 2: c.cut(); break;
        case 3: c.disconnect(); break;
        case 4: c.subscribe(filter, static_cast<int>(random() % 3)); break;
        case 5: c.unsubscribe({filter}); break;
        case 6: c.stop_reading(); break;
        case 7: c.start_reading(); break;
        default: c.publish(random() % 2 ? "a" : "a/b", "x", static_cast<int>(random() % 3)); break;
        }
        c.take();
        if (random() % 100 == 0) b.after(20);
    }
    b.check_invariants();
    b.end();
}

TEST_CASE("CVE-2026-8741's class: a QoS 2 message whose id was not committed is delivered once all the same") {
    broker b;
    b.client("s").resume().expect("CONNACK 00").subscribe("a", 2).expect("SUBACK #1 02").cut();
    publish_options o;
    o.id = 7;
    b.client("p").resume().expect("CONNACK 00");
    b.hold_commits();
    b.client("p").publish("a", "once", 2, o).expect_nothing();
    b.restart();
    b.release_commits();
    o.dup = true;
    b.client("p").resume().expect("CONNACK 00 present").publish("a", "once", 2, o).expect("PUBREC #7");
    b.client("p").cut().resume().expect("CONNACK 00 present").publish("a", "once", 2, o).expect("PUBREC #7");
    auto& s = b.client("s").resume().expect("CONNACK 00 present");
    s.expect("PUBLISH a 'once' q2 #1").expect_nothing();
}

TEST_CASE("CVE-2026-6564's and CVE-2026-33215's class: a session belongs to an identity, a client id is not enough") {
    broker b;
    auto& device = b.client("dev1").device("dev1").resume().expect("CONNACK 00");
    device.subscribe("device/dev1/update", 1).expect("SUBACK #1 01");
    auto& anonymous = b.client("anonymous").named("dev1");
    anonymous.resume().expect("CONNACK 87").expect_closed(close_cause::refused);
    anonymous.connect().expect("CONNACK 87").expect_closed(close_cause::refused);
    auto& claimed = b.client("claimed").named("dev1").by_client_id();
    claimed.connect().expect("CONNACK 87").expect_closed(close_cause::refused);
    b.client("dev2").named("dev1").device("dev2").connect().expect("CONNACK 85").expect_closed(close_cause::refused);
    device.ping().expect("PINGRESP").cut();
    anonymous.connect().expect("CONNACK 87");
    device.resume().expect("CONNACK 00 present");
}
