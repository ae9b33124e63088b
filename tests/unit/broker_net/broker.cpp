// The broker over loopback, from placement to stopping.
#include "running_broker.hpp"

#include <deque>
#include <sys/resource.h>

using namespace fb;
using namespace fb::test;

TEST_CASE("a connection moves to the home shard of its client id, and messages cross between shards") {
    constexpr core::shard_id shards = 4;
    running_broker b({.shards = shards});
    std::deque<peer> readers;
    for (core::shard_id s = 0; s < shards; ++s) {
        readers.emplace_back(b.port);
        REQUIRE(readers.back().connect(id_on(s, shards, "reader")));
        readers.back().subscribe("t/#");
    }
    for (core::shard_id s = 0; s < shards; ++s) {
        peer writer(b.port);
        REQUIRE(writer.connect(id_on(s, shards, "writer")));
        const std::string text = "from " + std::to_string(s);
        writer.send(peer::publish("t/x", text));
        for (peer& r : readers) {
            REQUIRE(r.next().type == proto::packet_type::publish);
            CHECK(r.payload() == text);
        }
    }
    CHECK(b.metric("fotabroker_crossings_total") >= shards * (shards - 1));
    // The kernel spreads accepts; with many callers for one shard some must have come in elsewhere.
    CHECK(eventually([&] {
        peer caller(b.port);
        REQUIRE(caller.connect(id_on(0, shards, "caller")));
        return b.metric("fotabroker_connections_moved_total") > 0;
    }));
}

TEST_CASE("with one shard nothing is ever handed over") {
    running_broker b;
    peer a(b.port), c(b.port);
    REQUIRE(a.connect("a"));
    REQUIRE(c.connect("c"));
    a.subscribe("x");
    c.send(peer::publish("x", "hello"));
    REQUIRE(a.next().type == proto::packet_type::publish);
    CHECK(b.metric("fotabroker_connections_moved_total") == 0);
    CHECK(b.metric("fotabroker_crossings_total") == 0);
}

TEST_CASE("a CONNECT that comes byte by byte is a CONNECT") {
    running_broker b({.shards = 2});
    proto::connect p;
    p.client_id = "slow";
    std::string bytes;
    proto::encode(p, bytes);
    peer c(b.port);
    for (char byte : bytes) c.send({&byte, 1});
    CHECK(c.next().type == proto::packet_type::connack);
}

TEST_CASE("v5[MQTT-3.1.0-1] v311[MQTT-3.1.0-1] whose first byte begins no CONNECT is closed at once") {
    running_broker b({.shards = 2, .limits = {.connect_timeout_s = 3600}});
    for (const char* wrong : {"\x30", "GET / HTTP/1.1\r\n", "\xff"}) {
        peer c(b.port);
        c.send(wrong);
        CHECK(c.closed());
    }
}

TEST_CASE("who sends no complete CONNECT in time is closed") {
    running_broker b({.limits = {.connect_timeout_s = 1}});
    peer silent(b.port);
    peer half(b.port);
    half.send(std::string_view("\x10\x20\x00\x04MQ", 6));
    CHECK(silent.closed());
    CHECK(half.closed());
}

TEST_CASE("callers who say nothing do not shut others out") {
    running_broker b({.limits = {.connect_timeout_s = 3600}, .pending_max = 8});
    std::deque<peer> silent;
    for (int i = 0; i < 50; ++i) silent.emplace_back(b.port);
    peer c(b.port);
    CHECK(c.connect("honest"));
    CHECK(b.metric("fotabroker_accept_pending_dropped_total") >= 40);
}

TEST_CASE("an address holds connections_per_address_max connections") {
    running_broker b({.limits = {.connections_per_address_max = 2}});
    auto first = std::make_unique<peer>(b.port);
    peer second(b.port);
    REQUIRE(first->connect("one"));
    REQUIRE(second.connect("two"));
    peer third(b.port);
    CHECK(third.closed());
    CHECK(b.metric("fotabroker_accept_per_address_total") == 1);
    first.reset();
    CHECK(eventually([&] {
        peer again(b.port);
        return again.connect("again");
    }));
}

TEST_CASE("a large packet in many pieces arrives whole, also at a reader that takes its time") {
    running_broker b({.shards = 2});
    peer reader(b.port), writer(b.port);
    REQUIRE(reader.connect(id_on(0, 2, "reader")));
    REQUIRE(writer.connect(id_on(1, 2, "writer")));
    reader.subscribe("big", proto::qos::at_least_once);
    std::string large(3 << 20, '\0');
    for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 % 251);
    for (int round = 0; round < 4; ++round) {
        writer.send(peer::publish("big", large, static_cast<proto::packet_id>(round + 1)));
        REQUIRE(writer.next().type == proto::packet_type::puback);
    }
    for (int round = 0; round < 4; ++round) {
        REQUIRE(reader.next().type == proto::packet_type::publish);
        CHECK(reader.payload() == large);
    }
}

TEST_CASE("while the state store is behind nobody is read from; then everything goes on") {
    running_broker b;
    peer c(b.port);
    REQUIRE(c.connect("c"));
    c.subscribe("x");
    b.behind = true;
    c.send(peer::publish("x", "1"));
    peer late(b.port);
    late.say_connect("late");
    b.behind = false;
    REQUIRE(c.next().type == proto::packet_type::publish);
    CHECK(late.next().type == proto::packet_type::connack);
}

TEST_CASE("stopping says 0x8B to everybody") {
    running_broker b({.shards = 2});
    std::deque<peer> peers;
    for (core::shard_id s = 0; s < 2; ++s) {
        peers.emplace_back(b.port);
        REQUIRE(peers.back().connect(id_on(s, 2)));
    }
    std::thread stopping([&] { b.stop(); });
    for (peer& p : peers) {
        CHECK(p.next().type == proto::packet_type::disconnect);
        CHECK(p.reason() == 0x8B);
        CHECK(p.closed());
        p.close();
    }
    stopping.join();
}

TEST_CASE("stopping ends with peers that neither read nor close, and with callers who have said nothing") {
    running_broker b({.shards = 2});
    peer reader(b.port), writer(b.port), silent(b.port);
    REQUIRE(reader.connect("reader"));
    REQUIRE(writer.connect("writer"));
    reader.subscribe("flood");
    const std::string block(100'000, 'x');
    for (int i = 0; i < 200; ++i) writer.send(peer::publish("flood", block));
    b.stop();
    CHECK(true); // it came back
}

TEST_CASE("wills of clients sent away by a stop are kept for sessions on other shards") {
    running_broker b({.shards = 2});
    {
        peer sleeper(b.port);
        REQUIRE(sleeper.connect(id_on(0, 2, "sleeper"), 3600));
        sleeper.subscribe("will/#", proto::qos::at_least_once);
    }
    CHECK(eventually([&] { return b.metric("fotabroker_connections") == 0; }));
    proto::will w;
    w.topic = "will/x";
    w.payload = "gone";
    w.quality = proto::qos::at_least_once;
    peer dying(b.port);
    dying.say_connect(id_on(1, 2, "dying"), 0, w);
    REQUIRE(dying.next().type == proto::packet_type::connack);
    b.stop();
    CHECK(b.kept_messages() == 1);
}

TEST_CASE("running out of descriptors refuses callers and is survived") {
    running_broker b;
    peer before(b.port);
    REQUIRE(before.connect("before"));
    rlimit old{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &old) == 0);
    const int spare = ::dup(0);
    std::vector<int> callers;
    for (int i = 0; i < 8; ++i) callers.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const rlimit low{static_cast<rlim_t>(callers.back() + 1), old.rlim_max};
    ::close(spare); // room for one
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(b.port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int fd : callers) CHECK(::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    CHECK(eventually([&] { return b.metric("fotabroker_accept_no_descriptors_total") > 0; }));
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &old) == 0);
    for (int fd : callers) ::close(fd);
    before.subscribe("still/here");
    CHECK(eventually([&] {
        peer after(b.port);
        return after.connect("after");
    }));
}

TEST_CASE("an idle broker does not wake up") {
    running_broker b({.shards = 4, .limits = {.connect_timeout_s = 1}});
    std::deque<peer> idle;
    for (int i = 0; i < 8; ++i) {
        idle.emplace_back(b.port);
        REQUIRE(idle.back().connect("idle" + std::to_string(i)));
    }
    // The connect time-outs pass once; after that nothing is left to wake for.
    std::this_thread::sleep_for(std::chrono::milliseconds(2500));
    const auto turns = b.metric("fotabroker_turns_total");
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    CHECK(b.metric("fotabroker_turns_total") == turns);
}
