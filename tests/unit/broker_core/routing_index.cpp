// The two shared structures. Method: random operations against a naive model, and real threads for the thread
// sanitizer.

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <thread>

#include "broker/core/match_cache.hpp"
#include "broker/core/retained.hpp"
#include "proto/topic.hpp"

using namespace fb;
using namespace fb::core;

namespace {

std::string random_path(std::mt19937& random, bool filter) {
    static constexpr std::string_view levels[]{"a", "b", "", "$x", "c"};
    std::string path;
    const int depth = 1 + static_cast<int>(random() % 4);
    for (int i = 0; i < depth; ++i) {
        if (i > 0) path += '/';
        const auto dice = random() % 10;
        if (filter && dice == 0) return path += '#';
        path += filter && dice < 3 ? "+" : levels[random() % std::size(levels)];
    }
    return path.empty() ? "a" : path;
}

subscriber random_subscriber(std::mt19937& random) {
    subscriber s;
    s.session = {static_cast<std::uint32_t>(random() % 5), 1, static_cast<shard_id>(random() % 3)};
    s.options.maximum_qos = static_cast<proto::qos>(random() % 3);
    s.options.no_local = random() % 2;
    s.options.retain_as_published = random() % 2;
    s.subscription_id = static_cast<std::uint32_t>(random() % 4);
    s.durable = random() % 2;
    return s;
}

using model = std::map<std::pair<std::string, session_handle>, subscriber>;

void check_against(const model& subscriptions, const match_list& list, std::string_view topic) {
    std::map<session_handle, match_entry> expected;
    std::map<session_handle, std::vector<std::uint32_t>> ids;
    std::map<session_handle, proto::qos> own_quality; // without no-local
    for (const auto& [key, s] : subscriptions) {
        if (!proto::topic_matches(key.first, topic)) continue;
        match_entry& e = expected[s.session];
        e.quality = std::max(e.quality, s.options.maximum_qos);
        e.retain_as_published |= s.options.retain_as_published;
        e.some_no_local |= s.options.no_local;
        if (!s.options.no_local) own_quality[s.session] = std::max(own_quality[s.session], s.options.maximum_qos);
        e.durable |= s.durable;
        if (s.subscription_id != 0) ids[s.session].push_back(s.subscription_id);
    }
    REQUIRE(list.entries.size() == expected.size());
    CHECK(std::is_sorted(list.entries.begin(), list.entries.end(),
                         [](const match_entry& a, const match_entry& b) { return a.session.shard < b.session.shard; }));
    for (const match_entry& e : list.entries) {
        REQUIRE(expected.contains(e.session));
        const match_entry& x = expected[e.session];
        CHECK(e.quality == x.quality);
        CHECK(e.retain_as_published == x.retain_as_published);
        CHECK(e.some_no_local == x.some_no_local);
        const match_entry* own = list.own_entry(e.session);
        REQUIRE((own != nullptr) == (e.some_no_local && own_quality.contains(e.session)));
        if (own != nullptr) CHECK(own->quality == own_quality[e.session]);
        CHECK(e.durable == x.durable);
        std::vector<std::uint32_t> found;
        for (std::uint32_t i = 0; i < e.id_count; ++i) found.push_back(list.ids->ids.at(e.first_id + i));
        std::sort(found.begin(), found.end());
        std::sort(ids[e.session].begin(), ids[e.session].end());
        CHECK(found == ids[e.session]);
    }
}

std::vector<message_ptr> matches(const retained& store, std::string_view filter, std::int64_t now) {
    std::vector<message_ptr> out;
    for (retained_walk w = store.begin(filter); !w.done;) store.next(w, now, out);
    return out;
}

message_ptr make(std::string_view topic, std::string_view payload, std::int64_t expires = never) {
    message_parts parts;
    parts.topic = topic;
    parts.payload = payload;
    parts.retain = true;
    parts.expires_mono_ms = expires;
    return message::make(parts);
}

} // namespace

TEST_CASE("the routing index finds what a naive search finds, and a cache is never stale") {
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    routing_index index;
    match_cache cache(index, 20);
    model subscriptions;
    for (int i = 0; i < 5000; ++i) {
        const std::string filter = random_path(random, true);
        const subscriber s = random_subscriber(random);
        if (random() % 3 != 0) {
            index.subscribe(filter, s);
            subscriptions[{filter, s.session}] = s;
        } else {
            index.unsubscribe(filter, s.session);
            subscriptions.erase({filter, s.session});
        }
        CHECK(index.subscription_count() == subscriptions.size());
        const std::string topic = random_path(random, false);
        INFO("topic " << topic << " after " << filter);
        check_against(subscriptions, *index.match(topic), topic);
        check_against(subscriptions, *cache.lookup(topic), topic);
    }
    for (const auto& [key, s] : subscriptions) index.unsubscribe(key.first, key.second);
    CHECK(index.subscription_count() == 0);
    CHECK(index.node_count() == 0);
}

TEST_CASE("a cache keeps a topic from the second time on; those that come once push nothing out") {
    routing_index index;
    index.subscribe("a/#", {{1, 1, 0}, {}, 0, false});
    match_cache cache(index, 64);
    cache.lookup("a/kept");
    const auto kept = cache.lookup("a/kept");
    for (int i = 0; i < 500; ++i) cache.lookup("a/" + std::to_string(i));
    CHECK(cache.lookup("a/kept") == kept);

    for (std::uint32_t i = 0; i < 100; ++i) index.subscribe("many", {{i, 1, 0}, {}, 0, false});
    CHECK(cache.lookup("many") == cache.lookup("many")); // at once: that list took long to make

    const auto once = cache.lookup("a/once"), other = cache.lookup("b/once");
    CHECK(once->entries.size() == 1); // as it was given
    CHECK(other->entries.empty());
    index.subscribe("a/kept", {{1, 2, 0}, {}, 0, false});
    CHECK(cache.lookup("a/kept")->entries.size() == 2);
}

TEST_CASE("unsubscribing what was never subscribed changes nothing") {
    routing_index index;
    index.subscribe("a/b", {{1, 1, 0}, {}, 0, false});
    index.unsubscribe("a", {1, 1, 0});
    index.unsubscribe("a/b", {1, 2, 0});
    index.unsubscribe("a/b/c/+/#", {1, 1, 0});
    CHECK(index.subscription_count() == 1);
    CHECK(index.match("a/b")->entries.size() == 1);
}

TEST_CASE("threads may subscribe, match and retain at once; a match that begins after a subscribe returned finds it") {
    routing_index index;
    retained store(1000, 1'000'000);
    std::atomic<bool> done{false};
    std::atomic<int> missed{0};
    const auto churn = [&](unsigned number) {
        std::mt19937 random(number);
        match_cache cache(index, 8);
        const session_handle own{number, 1, static_cast<shard_id>(number)};
        for (int i = 0; i < 2000; ++i) {
            const std::string topic = "a/" + std::to_string(random() % 4);
            const std::string filter = random() % 4 == 0 ? "a/+" : topic;
            index.subscribe(filter, {own, {}, 0, false});
            const auto found = cache.lookup(topic);
            const auto& list = *found;
            missed += std::none_of(list.entries.begin(), list.entries.end(),
                                   [&](const match_entry& e) { return e.session == own; });
            index.unsubscribe(filter, own);
            const auto left = cache.lookup(topic);
            const auto& after = *left;
            missed += std::any_of(after.entries.begin(), after.entries.end(),
                                  [&](const match_entry& e) { return e.session == own; });
            store.store(make(topic, i % 3 == 0 ? "" : "x"),
                        [&](retained::outcome, std::uint64_t) { cache.lookup(topic); });
            matches(store, "a/#", 0);
        }
    };
    std::thread reader([&] {
        while (!done) index.match("a/1");
    });
    std::vector<std::thread> threads;
    for (unsigned i = 1; i <= 3; ++i) threads.emplace_back(churn, i);
    for (auto& t : threads) t.join();
    done = true;
    reader.join();
    CHECK(missed == 0);
    CHECK(index.node_count() == 0);
}

TEST_CASE("the retained store finds what a naive search finds") {
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    retained store(1'000'000, 1'000'000);
    std::map<std::string, message_ptr> model;
    std::uint64_t last_version = 0;
    for (int i = 0; i < 3000; ++i) {
        const std::string topic = random_path(random, false);
        const auto m =
            make(topic, random() % 3 == 0 ? "" : std::string(random() % 50, 'x') + "y", random() % 2 ? never : 100);
        store.store(m, [&](retained::outcome result, std::uint64_t version) {
            CHECK(version > last_version);
            last_version = version;
            CHECK((result == retained::outcome::nothing_to_clear) == (m->payload().empty() && !model.contains(topic)));
        });
        if (m->payload().empty())
            model.erase(topic);
        else
            model[topic] = m;
        CHECK(store.message_count() == model.size());
        const std::string filter = random_path(random, true);
        const std::int64_t now = random() % 2 ? 50 : 150;
        std::vector<std::string> expected, found;
        for (const auto& [t, kept] : model)
            if (proto::topic_matches(filter, t) && !kept->expired(now)) expected.push_back(t);
        for (const auto& got : matches(store, filter, now)) found.emplace_back(got->topic());
        std::sort(found.begin(), found.end());
        INFO("filter " << filter);
        CHECK(found == expected);
    }
    std::uint64_t bytes = 0;
    for (const auto& [t, kept] : model) bytes += kept->bytes();
    CHECK(store.bytes() == bytes);
}

TEST_CASE("the retained store keeps within its bytes") {
    retained store(100, 50);
    using outcome = retained::outcome;
    const auto put = [&](std::string_view topic, std::string_view payload) {
        outcome result{};
        store.store(make(topic, payload), [&](outcome o, std::uint64_t) { result = o; });
        return result;
    };
    CHECK(put("a", std::string(40, 'x')) == outcome::stored);
    CHECK(put("b", std::string(40, 'x')) == outcome::full);
    CHECK(put("a", std::string(60, 'x')) == outcome::full);
    CHECK(put("a", std::string(10, 'x')) == outcome::stored);
    CHECK(put("b", std::string(30, 'x')) == outcome::stored);
    CHECK(store.bytes() == 42);
}
