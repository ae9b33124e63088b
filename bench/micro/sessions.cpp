// What clients do besides publishing, and retained messages.
#include <memory>
#include <vector>

#include "bench/micro/one_shard.hpp"
#include "bench/micro/operation.hpp"
#include "bench/micro/packets.hpp"

namespace fb::micro {
namespace {

using proto::qos;

runner connect_and_leave() {
    return [shard = std::make_shared<one_shard>()](std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) shard->disconnect(shard->connect("device-0042"));
        must(shard->counted().sessions.get() == 0, "leaving");
        return count;
    };
}

runner subscribe_and_unsubscribe() {
    auto shard = std::make_shared<one_shard>();
    const auto c = shard->connect("device-0042");
    return [shard, c](std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) {
            shard->subscribe(c, "site/7/device-0042/#", qos::at_least_once);
            shard->unsubscribe(c, "site/7/device-0042/#");
        }
        must(shard->index().subscription_count() == 0, "unsubscribing");
        return count;
    };
}

/// A retained message on each of a thousand topics.
struct retained_topics {
    retained_topics() {
        for (std::size_t i = 0; i < 1000; ++i)
            messages.push_back(publish_packet("site/7/device-" + std::to_string(i), qos::at_most_once, true));
        publisher = shard.connect("publisher");
        store(messages.size());
    }
    void store(std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) {
            shard.receive(publisher, messages[i % messages.size()].bytes());
            shard.end_turn();
        }
        must(shard.counted().retained_refused.get() == 0, "storing");
    }
    one_shard shard;
    std::vector<numbered_packet> messages;
    core::connection_handle publisher;
};

runner retain_store() {
    return [r = std::make_shared<retained_topics>()](std::uint64_t count) {
        r->store(count);
        return count;
    };
}

runner retain_replay() {
    auto r = std::make_shared<retained_topics>();
    const auto c = r->shard.connect("subscriber");
    return [r, c](std::uint64_t count) {
        const std::uint64_t each = r->messages.size(), rounds = (count + each - 1) / each;
        const auto before = r->shard.counted().publishes_sent.get();
        for (std::uint64_t i = 0; i < rounds; ++i) {
            r->shard.subscribe(c, "site/#", qos::at_most_once);
            r->shard.unsubscribe(c, "site/#");
        }
        must(r->shard.counted().publishes_sent.get() == before + rounds * each, "replaying each message");
        return rounds * each;
    };
}

constexpr operation all[] = {
    {"connect", "CONNECT and DISCONNECT, encoding them included", 2000, connect_and_leave},
    {"subscribe", "SUBSCRIBE and UNSUBSCRIBE, encoding them included", 2000, subscribe_and_unsubscribe},
    {"retain_store", "a retained message that replaces one of 1000, nobody subscribed", 4000, retain_store},
    {"retain_replay", "one of 1000 retained messages to a new subscriber", 10'000, retain_replay},
};

} // namespace

std::span<const operation> session_operations() { return all; }

} // namespace fb::micro
