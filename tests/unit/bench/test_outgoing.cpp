// A publisher's window: what is on its way, and when one more may follow.
#include <doctest/doctest.h>

#include "bench/fleet/outgoing.hpp"

using namespace fb::fleet;

namespace {

struct nobody final : peer_events {
    void on_ready(load_peer&) override {}
    void on_subscribed(load_peer&) override {}
    void on_delivery(load_peer&, std::string_view) override {}
    void on_acknowledged(load_peer&, fb::proto::packet_id, bool) override {}
    void on_lost(load_peer&, const std::string&) override {}
};

struct world {
    nobody events;
    loop l;
    load_peer peer{l, {}, 0, events};
};

outgoing_options two_at_a_time(std::uint64_t messages) {
    return {.topic = "t", .messages = messages, .window = 2, .awaited_each = 1};
}

} // namespace

TEST_CASE("no more messages are on their way than the window allows") {
    world w;
    outgoing out(w.peer, 0, two_at_a_time(3));
    out.start();
    CHECK(out.published() == 2);
    out.arrived(0);
    CHECK(out.published() == 2);
    out.acknowledged(1); // packet ids begin with 1
    CHECK(out.published() == 3);
}

TEST_CASE("a window moves on with its first message, not with a later one") {
    world w;
    outgoing out(w.peer, 0, two_at_a_time(3));
    out.start();
    out.arrived(1);
    out.acknowledged(2);
    CHECK(out.published() == 2);
    out.acknowledged(1);
    out.arrived(0);
    CHECK(out.published() == 3);
    CHECK_FALSE(out.done());
    out.arrived(2);
    out.acknowledged(3);
    CHECK(out.done());
}

TEST_CASE("packet ids go round") {
    world w;
    const std::uint64_t messages = 70'000;
    outgoing out(w.peer, 0, two_at_a_time(messages));
    out.start();
    for (std::uint64_t i = 0; i < messages; ++i) {
        out.arrived(i);
        out.acknowledged(static_cast<fb::proto::packet_id>(i % 65535 + 1));
    }
    CHECK(out.done());
    CHECK(out.published() == messages);
}
