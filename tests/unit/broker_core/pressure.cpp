// Memory that runs short: what goes elsewhere, what is refused, who waits. Method: transcripts, in a process that says
// it uses more memory than it does.
#include <doctest/doctest.h>

#include "broker/core/memory_use.hpp"
#include "tests/support/transcript.hpp"

using namespace fb;
using namespace fb::test;
using core::close_cause;

namespace {

constexpr std::int64_t mib = 1 << 20;

/// So much more than is in use anyway.
class pretended_use {
  public:
    explicit pretended_use(std::int64_t bytes)
        : bytes_(bytes) {
        core::count_memory(bytes_);
    }
    ~pretended_use() { core::count_memory(-bytes_); }
    pretended_use(const pretended_use&) = delete;
    pretended_use& operator=(const pretended_use&) = delete;

  private:
    const std::int64_t bytes_;
};

class counted_space final : public core::message_space {
  public:
    void* take(std::size_t bytes) noexcept override {
        if (full) return nullptr;
        ++messages;
        return ::operator new(bytes);
    }
    void give_back(void* at, std::size_t) noexcept override {
        --messages;
        ::operator delete(at);
    }
    int messages = 0;
    bool full = false;
};

broker_setup with_memory(std::int64_t bytes) {
    broker_setup setup;
    setup.limits.memory_bytes_max = static_cast<std::uint64_t>(bytes);
    return setup;
}

} // namespace

TEST_CASE("what messages, queues and output take is counted, and given back") {
    const auto before = core::memory_in_use();
    {
        broker b;
        b.client("absent").resume().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01").cut();
        auto& p = b.client("p").connect().expect("CONNACK 00");
        for (int i = 0; i < 40; ++i) p.publish("a", std::string(100'000, 'x'), 1);
        CHECK(core::memory_in_use() - before > 40 * 100'000 - 2 * core::memory_use::slack_bytes);
        CHECK(core::memory_in_use() - before < 6 * mib);
    }
    CHECK(std::abs(core::memory_in_use() - before) <= 2 * core::memory_use::slack_bytes);
}

TEST_CASE("above half of memory_bytes_max new messages lie in the message space, and nothing else changes") {
    counted_space space;
    auto setup = with_memory(200 * mib);
    setup.configure = [&](core::engine_config& c) { c.spill = &space; };
    {
        broker b(setup);
        b.client("absent").resume().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01").cut();
        auto& p = b.client("p").connect().expect("CONNACK 00");
        p.publish("a", "in memory", 1).expect("PUBACK #1");
        CHECK(space.messages == 0);
        {
            const pretended_use much(110 * mib);
            p.publish("a", "elsewhere", 1).expect("PUBACK #2");
            CHECK(space.messages == 1);
            space.full = true;
            p.publish("a", "no room there", 1).expect("PUBACK #3");
            CHECK(space.messages == 1);
        }
        b.client("absent")
            .resume()
            .expect("CONNACK 00 present")
            .expect("PUBLISH a 'in memory' q1 #1")
            .expect("PUBLISH a 'elsewhere' q1 #2")
            .expect("PUBLISH a 'no room there' q1 #3")
            .puback(1)
            .puback(2)
            .puback(3);
        b.after(1);
    }
    CHECK(space.messages == 0);
}

TEST_CASE("at memory_bytes_max nothing is queued for the absent; whoever is connected gets everything") {
    broker b(with_memory(200 * mib));
    b.client("absent").resume().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01").cut();
    auto& s = b.client("s").connect().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    {
        const pretended_use all(210 * mib);
        p.publish("a", "1", 1).expect("PUBACK #1");
        s.expect("PUBLISH a '1' q1 #1");
        CHECK(b.total(&core::counters::dropped_queue_full) == 1);
    }
    p.publish("a", "2", 1).expect("PUBACK #2");
    s.expect("PUBLISH a '2' q1 #2");
    b.client("absent").resume().expect("CONNACK 00 present").expect("PUBLISH a '2' q1 #1").expect_nothing();
}

TEST_CASE("at memory_bytes_max nothing more is retained; subscribers get it, and what is retained can be cleared") {
    broker b(with_memory(200 * mib));
    auto& s = b.client("s").connect().expect("CONNACK 00").subscribe("a", 0).expect("SUBACK #1 00");
    auto& p = b.client("p").connect().expect("CONNACK 00");
    p.publish("a", "1", 0, retain);
    s.expect("PUBLISH a '1' q0");
    CHECK(b.retained->message_count() == 1);
    const pretended_use all(210 * mib);
    p.publish("b", "2", 0, retain);
    CHECK(b.retained->message_count() == 1);
    CHECK(b.total(&core::counters::retained_refused) == 1);
    p.publish("a", "3", 0, retain);
    s.expect("PUBLISH a '3' q0");
    p.publish("a", "", 0, retain);
    CHECK(b.retained->message_count() == 0);
}

TEST_CASE("at memory_bytes_max a slow reader keeps less unsent output and fewer QoS 0 messages") {
    broker b(with_memory(200 * mib));
    auto& s = b.client("s").connect().expect("CONNACK 00").subscribe("a", 0).expect("SUBACK #1 00").stop_reading();
    auto& p = b.client("p").connect().expect("CONNACK 00");
    const pretended_use all(210 * mib);
    for (int i = 0; i < 100; ++i) p.publish("a", std::string(1000, 'x'));
    CHECK(s.output_bytes() < 20'000);
    s.start_reading();
    CHECK(s.take().size() + b.total(&core::counters::dropped_slow_reader) == 100);
    CHECK(b.total(&core::counters::dropped_slow_reader) >= 60);
}

TEST_CASE("an eighth above memory_bytes_max publishers are not read until it is below again; readers are") {
    broker b(with_memory(200 * mib));
    auto& s = b.client("s").connect().expect("CONNACK 00").subscribe("a", 1).expect("SUBACK #1 01");
    connect_options alive;
    alive.keep_alive_s = 2;
    auto& p = b.client("p").connect(alive).expect("CONNACK 00").publish("a", "1", 1).expect("PUBACK #1");
    s.expect("PUBLISH a '1' q1 #1");
    {
        auto too_much = std::make_unique<pretended_use>(230 * mib);
        p.publish("a", "2", 1).expect_nothing();
        CHECK(p.paused());
        CHECK(b.total(&core::counters::publishers_held) == 1);
        s.puback(1).ping().expect("PINGRESP");
        b.after(4); // longer than its keep-alive: it is we who do not read
        too_much = std::make_unique<pretended_use>(210 * mib);
        b.after(1);
        p.expect_nothing(); // not while it would be too much again at once
    }
    b.after(1);
    p.expect("PUBACK #2");
    s.expect("PUBLISH a '2' q1 #2");
    CHECK_FALSE(p.paused());
}

TEST_CASE("a publisher that memory holds up for ack_wait_max_s is told so and disconnected") {
    broker b(with_memory(200 * mib));
    auto& p = b.client("p").connect().expect("CONNACK 00").publish("a", "1").expect_nothing();
    const pretended_use too_much(230 * mib);
    p.publish("a", "2", 1);
    b.after(9);
    CHECK(p.online());
    b.after(2);
    p.expect("DISCONNECT 97").expect_closed(close_cause::overload);
}
