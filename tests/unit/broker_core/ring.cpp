#include "broker/core/ring.hpp"

#include <doctest/doctest.h>

#include <deque>
#include <memory>
#include <random>

using namespace fb::core;

namespace {

/// A ring and the deque that says what must be in it.
struct ring_and_model {
    ring<std::shared_ptr<int>> queue;
    std::deque<std::shared_ptr<int>> model;

    void step(std::mt19937& random, const std::shared_ptr<int>& value) {
        const auto kind = random() % 8;
        if (kind < 2) {
            CHECK(queue.push_back(value) == value);
            model.push_back(value);
        } else if (kind == 2) {
            CHECK(queue.push_front(value) == value);
            model.push_front(value);
        } else if (kind < 5 && !model.empty()) {
            queue.pop_front();
            model.pop_front();
        } else if (kind == 5 && !model.empty()) {
            const auto place = static_cast<std::ptrdiff_t>(random() % model.size());
            queue.erase(queue.begin() + place);
            model.erase(model.begin() + place);
        } else if (kind == 6 && random() % 50 == 0) {
            const int divisor = 2 + static_cast<int>(random() % 5);
            const auto unwanted = [&](const auto& v) { return *v % divisor == 0; };
            erase_if(queue, unwanted);
            std::erase_if(model, unwanted);
        } else if (kind == 7 && random() % 500 == 0) {
            queue.clear();
            model.clear();
        }
    }
    bool same() const {
        return std::equal(queue.begin(), queue.end(), model.begin(), model.end()) &&
               std::equal(queue.rbegin(), queue.rend(), model.rbegin(), model.rend());
    }
};

} // namespace

TEST_CASE("a ring holds what a deque holds, whatever is put in and taken out") {
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    ring_and_model both;
    for (int i = 0; i < 50'000; ++i) {
        both.step(random, std::make_shared<int>(i));
        REQUIRE(both.same());
    }
    both.queue.clear();
    for (const auto& v : both.model) CHECK(v.use_count() == 1); // what was taken out is not held any more
}

TEST_CASE("a ring takes no memory before it is used, and gives back most when it is empty") {
    ring<int> queue;
    CHECK(queue.capacity() == 0);
    for (int i = 0; i < 1000; ++i) queue.push_back(i);
    CHECK(queue.capacity() >= 1000);
    while (!queue.empty()) queue.pop_front();
    CHECK(queue.capacity() <= ring<int>::kept_max);
}

TEST_CASE("a ring through which few elements pass stays as it is") {
    ring<int> queue;
    queue.push_back(0);
    const std::size_t room = queue.capacity();
    for (int i = 0; i < 1000; ++i) {
        queue.push_back(i);
        queue.pop_front();
    }
    CHECK(queue.capacity() == room);
}
