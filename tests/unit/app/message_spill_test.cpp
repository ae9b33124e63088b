#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "broker/app/message_spill.hpp"
#include "broker/core/memory_use.hpp"
#include "broker/core/message.hpp"
#include "tests/support/file_size_limit.hpp"
#include "tests/support/scratch_dir.hpp"

using namespace fb;
using app::message_spill;

namespace {

constexpr std::size_t region = message_spill::region_bytes;

core::message_ptr made(std::string_view payload, message_spill& spill) {
    core::message_parts parts;
    parts.topic = "a/b";
    parts.payload = payload;
    return core::message::make(parts, &spill);
}

} // namespace

TEST_CASE("spill: messages keep what is in them, and give their room back when they end") {
    const test::scratch_dir dir;
    message_spill spill(dir.path(), 8 * region);
    CHECK(spill.file_bytes() == 0);
    std::vector<core::message_ptr> kept;
    for (int i = 0; i < 100; ++i) kept.push_back(made(std::string(100'000, static_cast<char>('a' + i % 26)), spill));
    CHECK(spill.file_bytes() == 3 * region);
    CHECK(spill.message_bytes() > 100 * 100'000);
    for (int i = 0; i < 100; ++i) {
        const auto& m = kept[static_cast<std::size_t>(i)];
        REQUIRE(m->payload() == std::string(100'000, static_cast<char>('a' + i % 26)));
        REQUIRE(m->topic() == "a/b");
    }
    kept.clear();
    CHECK(spill.message_bytes() == 0);
    CHECK(spill.file_bytes() == region); // the one being filled
}

TEST_CASE("spill: a message longer than a region has a run to itself") {
    const test::scratch_dir dir;
    message_spill spill(dir.path(), 6 * region);
    const std::string large(2 * region + 5, 'L');
    auto first = made(large, spill);
    auto small = made("s", spill);
    CHECK(spill.file_bytes() == 4 * region);
    first.reset();
    CHECK(spill.file_bytes() == region);
    auto second = made(large, spill); // where the first was
    CHECK(second->payload() == large);
    CHECK(small->payload() == "s");
    CHECK(spill.file_bytes() == 4 * region);
    CHECK(spill.refused() == 0);
}

TEST_CASE("spill: without room there, or on the disk, messages stay in memory") {
    const test::scratch_dir dir;
    message_spill spill(dir.path(), 2 * region);
    const auto before = core::memory_in_use();
    SUBCASE("the file is as large as it may be") {
        std::vector<core::message_ptr> kept;
        for (int i = 0; i < 10; ++i) kept.push_back(made(std::string(1 << 20, 'x'), spill));
        CHECK(spill.refused() == 4); // three in each of two regions
        CHECK(core::memory_in_use() - before >= 4 << 20);
        for (const auto& m : kept) CHECK(m->payload().size() == 1 << 20);
    }
    SUBCASE("the disk is full") {
        const test::file_size_limit full(1);
        const auto m = made(std::string(1 << 20, 'x'), spill);
        CHECK(m->payload() == std::string(1 << 20, 'x'));
        CHECK(spill.refused() == 1);
        CHECK(spill.file_bytes() == 0);
    }
    CHECK(core::memory_in_use() - before < 1 << 20);
}

TEST_CASE("spill: a directory that cannot hold it is told of") {
    CHECK_THROWS_WITH_AS(message_spill("/proc/self", 2 * region), doctest::Contains("/proc/self: no file for messages"),
                         std::runtime_error);
    const test::scratch_dir dir;
    CHECK_THROWS_AS(message_spill(dir.path(), region - 1), std::runtime_error);
}

TEST_CASE("spill: threads that take and give back at the same time") {
    const test::scratch_dir dir;
    message_spill spill(dir.path(), 16 * region);
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (unsigned t = 0; t < 3; ++t) {
        threads.emplace_back([&, t] {
            std::mt19937 random(t);
            std::vector<std::pair<char, core::message_ptr>> kept(50);
            for (int i = 0; i < 3000; ++i) {
                auto& [letter, m] = kept[random() % kept.size()];
                if (m && m->payload().find_first_not_of(letter) != std::string_view::npos) ++wrong;
                letter = static_cast<char>('a' + random() % 26);
                m = made(std::string(1 + random() % 100'000, letter), spill);
            }
        });
    }
    for (auto& t : threads) t.join();
    CHECK(wrong == 0);
    CHECK(spill.message_bytes() == 0);
    CHECK(spill.file_bytes() <= region);
}
