// One message from the publisher's bytes to the subscriber's, acknowledgements of both sides included. Each message is
// a turn of its own, which is the dearest way: a busy shard has many in one.
#include <memory>
#include <vector>

#include "bench/micro/one_shard.hpp"
#include "bench/micro/operation.hpp"
#include "bench/micro/packets.hpp"

namespace fb::micro {
namespace {

using proto::qos;

constexpr std::string_view topic = "site/7/device-0042/temperature";

/// One publisher and its subscribers; the ids are those that the broker gives each of them.
struct peers {
    peers(qos quality_of_all, std::size_t subscriber_count, core::durability kept = core::durability::none,
          const core::limits& limits = {})
        : shard(kept, limits)
        , quality(quality_of_all)
        , message(publish_packet(topic, quality)) {
        publisher = shard.connect("publisher");
        const std::uint32_t expiry_s = kept == core::durability::none ? 0 : 3600;
        for (std::size_t i = 0; i < subscriber_count; ++i) {
            subscribers.push_back(shard.connect("subscriber-" + std::to_string(i), expiry_s));
            shard.subscribe(subscribers.back(), topic, quality);
        }
    }

    void publish() {
        shard.receive(publisher, quality == qos::at_most_once ? message.bytes() : message.with(sent.next()));
        shard.end_turn();
    }
    void acknowledge(proto::packet_id id) {
        for (const auto s : subscribers) shard.receive(s, puback.with(id));
        shard.end_turn();
    }
    void finish_qos2(proto::packet_id id) {
        shard.receive(publisher, pubrel.with(id));
        for (const auto s : subscribers) shard.receive(s, pubrec.with(id));
        shard.end_turn();
        for (const auto s : subscribers) shard.receive(s, pubcomp.with(id));
        shard.end_turn();
    }
    /// All of `rounds` messages, to all.
    std::uint64_t publish_and_acknowledge(std::uint64_t rounds) {
        const auto before = shard.counted().publishes_sent.get();
        for (std::uint64_t i = 0; i < rounds; ++i) {
            publish();
            if (quality == qos::at_least_once) acknowledge(delivered.next());
            if (quality == qos::exactly_once) finish_qos2(delivered.next());
        }
        const std::uint64_t deliveries = rounds * subscribers.size();
        must(shard.counted().publishes_sent.get() == before + deliveries, "delivering each message");
        return deliveries;
    }

    one_shard shard;
    qos quality;
    numbered_packet message;
    numbered_packet puback = ack_packet<proto::puback>(), pubrec = ack_packet<proto::pubrec>(),
                    pubrel = ack_packet<proto::pubrel>(), pubcomp = ack_packet<proto::pubcomp>();
    packet_ids sent, delivered;
    core::connection_handle publisher;
    std::vector<core::connection_handle> subscribers;
};

runner one_to_one(qos quality, core::durability kept = core::durability::none) {
    return [p = std::make_shared<peers>(quality, 1, kept)](std::uint64_t count) {
        return p->publish_and_acknowledge(count);
    };
}

runner with_properties() {
    proto::publish_properties q;
    q.content_type = "application/json";
    q.response_topic = "site/7/device-0042/answers";
    q.user.add("unit", "celsius");
    std::string properties;
    proto::append_forward_block(q, properties);
    auto p = std::make_shared<peers>(qos::at_least_once, 1);
    p->message = publish_packet(topic, p->quality, false, properties);
    return [p](std::uint64_t count) { return p->publish_and_acknowledge(count); };
}

runner fan_out(qos quality) {
    constexpr std::size_t subscribers = 1000;
    return [p = std::make_shared<peers>(quality, subscribers)](std::uint64_t count) {
        return p->publish_and_acknowledge((count + subscribers - 1) / subscribers);
    };
}

/// More topics than the match cache holds, each with a filter of its own, in turn: every message is a miss.
struct many_topics {
    many_topics() {
        publisher = shard.connect("publisher");
        const auto subscriber = shard.connect("subscriber");
        for (std::size_t i = 0; i < topic_count; ++i) {
            const std::string name = "site/" + std::to_string(i % 10) + "/device-" + std::to_string(i);
            shard.subscribe(subscriber, name + (i % 2 == 0 ? "/temperature" : "/#"), qos::at_most_once);
            messages.push_back(publish_packet(name + "/temperature", qos::at_most_once));
        }
    }
    std::uint64_t publish(std::uint64_t count) {
        const auto before = shard.counted().publishes_sent.get();
        for (std::uint64_t i = 0; i < count; ++i) {
            shard.receive(publisher, messages[next++ % topic_count].bytes());
            shard.end_turn();
        }
        must(shard.counted().publishes_sent.get() == before + count, "delivering each message");
        return count;
    }
    static constexpr std::size_t topic_count = 5000;
    static core::limits bounds() {
        core::limits l;
        l.subscriptions_max = topic_count;
        return l;
    }
    one_shard shard{core::durability::none, bounds()};
    std::vector<numbered_packet> messages;
    core::connection_handle publisher;
    std::size_t next = 0;
};

runner hop_through_topics() {
    return [t = std::make_shared<many_topics>()](std::uint64_t count) { return t->publish(count); };
}

/// The window is full each time, and the newest is acknowledged first.
runner acknowledge_backwards() {
    return [p = std::make_shared<peers>(qos::at_least_once, 1)](std::uint64_t count) {
        constexpr std::size_t window = 200;
        const auto before = p->shard.counted().publishes_sent.get();
        const std::uint64_t rounds = (count + window - 1) / window;
        std::vector<proto::packet_id> ids(window);
        for (std::uint64_t i = 0; i < rounds; ++i) {
            for (auto& id : ids) {
                p->publish();
                id = p->delivered.next();
            }
            for (auto id = ids.rbegin(); id != ids.rend(); ++id) p->acknowledge(*id);
        }
        must(p->shard.counted().publishes_sent.get() == before + rounds * window, "room in the window");
        return rounds * window;
    };
}

runner queue_for_the_absent() {
    core::limits limits;
    limits.queued_messages_max = 100'000'000;
    limits.queued_bytes_max = std::uint64_t{1} << 40;
    auto p = std::make_shared<peers>(qos::at_least_once, 1, core::durability::strict, limits);
    p->shard.disconnect(p->subscribers.back());
    return [p](std::uint64_t count) {
        const auto before = p->shard.counted().packets_sent.get();
        for (std::uint64_t i = 0; i < count; ++i) p->publish();
        must(p->shard.counted().packets_sent.get() == before + count, "acknowledging each message");
        must(p->shard.counted().dropped_queue_full.get() == 0, "queueing");
        return count;
    };
}

constexpr operation all[] = {
    {"publish_qos0", "a message to one subscriber, QoS 0", 4000, [] { return one_to_one(qos::at_most_once); }},
    {"publish_qos0_hopping", "the same through 5000 topics in turn, none of them in the match cache", 10'000,
     hop_through_topics},
    {"publish_qos1", "a message to one subscriber, QoS 1: two PUBACKs", 4000,
     [] { return one_to_one(qos::at_least_once); }},
    {"publish_qos1_properties", "the same with content type, response topic and a user property", 4000,
     with_properties},
    {"publish_qos2", "a message to one subscriber, QoS 2: both exchanges", 4000,
     [] { return one_to_one(qos::exactly_once); }},
    {"publish_qos1_strict", "QoS 1 to a persistent session, durability strict, without the disk", 4000,
     [] { return one_to_one(qos::at_least_once, core::durability::strict); }},
    {"fan_out_qos0", "one delivery of a message to 1000 subscribers, QoS 0", 20'000,
     [] { return fan_out(qos::at_most_once); }},
    {"fan_out_qos1", "one delivery of a message to 1000 subscribers, QoS 1, with its PUBACK", 20'000,
     [] { return fan_out(qos::at_least_once); }},
    {"ack_out_of_order", "a message at QoS 1, acknowledged last of 200 first", 4000, acknowledge_backwards},
    {"queue_offline", "a message into the queue of a persistent session that is away, strict", 4000,
     queue_for_the_absent},
};

} // namespace

std::span<const operation> delivery_operations() { return all; }

} // namespace fb::micro
