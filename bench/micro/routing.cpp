// Topic to subscribers.
#include <memory>
#include <vector>

#include "bench/micro/operation.hpp"
#include "broker/core/match_cache.hpp"

namespace fb::micro {
namespace {

std::string topic_of(std::size_t i) {
    return "site/" + std::to_string(i % 10) + "/device-" + std::to_string(i) + "/temperature";
}

/// All different; two of ten with a wildcard.
std::string filter_of(std::size_t i) {
    const std::string site = std::to_string(i % 10), device = "/device-" + std::to_string(i);
    switch (i % 10) {
    case 3: return "site/+" + device + "/temperature";
    case 7: return "site/" + site + device + "/#";
    default: return topic_of(i);
    }
}

/// Filters of as many sessions, and a thousand topics across them; each matches exactly one.
struct filled_index {
    explicit filled_index(std::size_t filters) {
        for (std::size_t i = 0; i < filters; ++i) {
            core::subscriber who;
            who.session = {static_cast<std::uint32_t>(i), 1, 0};
            index.subscribe(filter_of(i), who);
        }
        for (std::size_t i = 0; i < 1000; ++i) topics.push_back(topic_of(i * 997 % filters));
    }
    core::routing_index index;
    std::vector<std::string> topics;
};

runner match(std::size_t filters) {
    return [world = std::make_shared<filled_index>(filters)](std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) {
            const auto list = world->index.match(world->topics[i % world->topics.size()]);
            must(list->entries.size() == 1, "one match");
        }
        return count;
    };
}

struct cached_index : filled_index {
    explicit cached_index(std::size_t filters)
        : filled_index(filters) {
        for (int i = 0; i < 2; ++i) // it keeps what it sees twice
            for (const auto& topic : topics) cache.lookup(topic);
    }
    core::match_cache cache{index, 4096};
};

runner match_cached() {
    return [world = std::make_shared<cached_index>(1000)](std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) {
            const auto list = world->cache.lookup(world->topics[i % world->topics.size()]);
            must(list->entries.size() == 1, "one match");
        }
        return count;
    };
}

runner subscribe() {
    return [world = std::make_shared<filled_index>(1000)](std::uint64_t count) {
        core::subscriber who;
        who.session = {5000, 1, 0};
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::string_view filter = world->topics[i % world->topics.size()];
            world->index.subscribe(filter, who);
            world->index.unsubscribe(filter, who.session);
        }
        must(world->index.subscription_count() == 1000, "unsubscribing");
        return count;
    };
}

constexpr operation all[] = {
    {"match_100", "a topic in the index, 100 filters, without the cache", 4000, [] { return match(100); }},
    {"match_100000", "the same with 100,000 filters", 4000, [] { return match(100'000); }},
    {"match_cached", "the same in the shard's cache", 4000, match_cached},
    {"index_subscribe", "one subscription into the index and out again", 4000, subscribe},
};

} // namespace

std::span<const operation> routing_operations() { return all; }

} // namespace fb::micro
