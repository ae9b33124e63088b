#include <doctest/doctest.h>

#include <memory>
#include <thread>

#include "broker/net/inbox.hpp"

using fb::net::inbox;

TEST_CASE("an inbox wakes its owner once, and only if it sleeps") {
    int woken = 0;
    inbox<int> box(1000, [&] { ++woken; });
    std::vector<int> got;
    box.push(1, 1);
    box.push(2, 1);
    CHECK(woken == 1);
    box.take(got);
    CHECK(got == std::vector{1, 2});
    box.push(3, 1);
    CHECK(woken == 1);
    CHECK_FALSE(box.sleep()); // there is something to do
    got.clear();
    box.take(got);
    CHECK(got == std::vector{3});
    CHECK(box.sleep());
    box.push(4, 1);
    CHECK(woken == 2);
}

TEST_CASE("a batch comes behind what is there, in its order") {
    inbox<int> box(100, [] {});
    std::vector<int> got;
    std::vector<int> batch{1, 2};
    box.push_all(batch, 60);
    CHECK(batch.empty());
    batch = {3, 4};
    box.push_all(batch, 60);
    CHECK(batch.empty());
    box.push(5, 1);
    CHECK(box.congested());
    box.take(got);
    CHECK(got == std::vector{1, 2, 3, 4, 5});
}

TEST_CASE("an inbox is congested by the bytes it holds, until it is emptied") {
    inbox<int> box(100, [] {});
    std::vector<int> got;
    box.push(1, 100);
    CHECK_FALSE(box.congested());
    box.push(2, 1);
    CHECK(box.congested());
    box.take(got);
    CHECK_FALSE(box.congested());
}

TEST_CASE("messages of each sender arrive in the order they were pushed") {
    constexpr int each = 2000;
    inbox<std::pair<int, int>> box(1 << 20, [] {});
    std::vector<std::thread> senders;
    for (int s = 0; s < 3; ++s) {
        senders.emplace_back([&box, s] {
            for (int i = 0; i < each; ++i) box.push({s, i}, 1);
        });
    }
    int next[3] = {0, 0, 0};
    bool in_order = true;
    for (int seen = 0; seen < 3 * each;) {
        std::vector<std::pair<int, int>> got;
        box.take(got);
        for (const auto& [s, i] : got) in_order = in_order && next[s]++ == i;
        seen += static_cast<int>(got.size());
    }
    for (std::thread& t : senders) t.join();
    CHECK(in_order);
}
