// The output buffer and the deadlines, against simple models.
#include "broker/core/output.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>

#include "broker/core/timers.hpp"

using namespace fb::core;

TEST_CASE("an output buffer gives back what was appended, in order, however it is consumed") {
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    output_buffer buffer;
    std::string model;
    for (int i = 0; i < 20'000; ++i) {
        const std::string text(random() % 300, static_cast<char>('a' + random() % 26));
        switch (random() % 4) {
        case 0:
            buffer.text() += text;
            model += text;
            break;
        case 1: {
            message_parts parts;
            parts.payload = text;
            buffer.append_payload(message::make(parts));
            model += text;
            break;
        }
        default: {
            std::array<std::string_view, 4> pieces;
            const std::size_t n = buffer.gather(std::span(pieces).first(1 + random() % 4));
            std::string seen;
            for (std::size_t k = 0; k < n; ++k) seen += pieces[k];
            CHECK(model.starts_with(seen));
            CHECK((seen.empty() == model.empty()));
            const std::size_t count = random() % 3 == 0 ? seen.size() : seen.size() - seen.size() / (1 + random() % 3);
            buffer.consume(count);
            model.erase(0, count);
        }
        }
        REQUIRE(buffer.size() == model.size());
    }
}

TEST_CASE("a pool's buffers come back empty") {
    output_pool pool;
    auto b = pool.take();
    b->text() += "rest";
    pool.give_back(std::move(b));
    CHECK(pool.take()->size() == 0);
}

TEST_CASE("a pool keeps many small buffers, few large ones and none that are huge") {
    const auto kept_of = [](std::size_t bytes) {
        output_pool pool;
        std::vector<std::unique_ptr<output_buffer>> taken;
        for (int i = 0; i < 2000; ++i) {
            taken.push_back(pool.take());
            taken.back()->text().assign(bytes, 'x');
        }
        for (auto& b : taken) pool.give_back(std::move(b));
        CHECK(pool.bytes() <= output_pool::bytes_max);
        const std::size_t bytes_kept = pool.bytes();
        std::size_t kept = 0;
        for (; pool.bytes() > 0; ++kept) pool.take();
        CHECK(bytes_kept >= kept * bytes);
        return kept;
    };
    CHECK(kept_of(100) == 2000);
    CHECK(kept_of(32 * 1024) > 50);
    CHECK(kept_of(32 * 1024) < 65);
    CHECK(kept_of(100 * 1024) == 0);
}

TEST_CASE("deadlines come in order, one per slot, the earlier of two") {
    const auto seed = std::random_device{}();
    INFO("seed " << seed);
    std::mt19937 random(seed);
    deadlines heap;
    std::map<std::uint32_t, std::int64_t> model;
    const auto earliest = [&] {
        std::int64_t least = never;
        for (const auto& [slot, when] : model) least = std::min(least, when);
        return least;
    };
    for (int i = 0; i < 20'000; ++i) {
        const auto slot = static_cast<std::uint32_t>(random() % 50);
        const auto when = static_cast<std::int64_t>(random() % 1000);
        if (random() % 3 == 0) {
            heap.clear(slot);
            model.erase(slot);
        } else if (random() % 3 == 0) {
            std::uint32_t due = 0;
            if (heap.pop_due(when, due)) {
                CHECK(model.at(due) == earliest());
                CHECK(model.at(due) <= when);
                model.erase(due);
            } else {
                CHECK(earliest() > when);
            }
        } else {
            heap.arm(slot, when);
            model[slot] = model.contains(slot) ? std::min(model[slot], when) : when;
        }
        REQUIRE(heap.size() == model.size());
        REQUIRE(heap.next() == earliest());
    }
}
