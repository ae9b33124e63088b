// What the load generator publishes where: many filters, and whose message is whose.
#include <doctest/doctest.h>

#include <map>
#include <set>
#include <stdexcept>

#include "bench/fleet/filter_spread.hpp"
#include "bench/fleet/message_head.hpp"
#include "proto/topic.hpp"

using namespace fb;
using namespace fb::fleet;

namespace {

constexpr std::uint32_t filters = 300;
constexpr std::uint32_t subscribers = 20;
constexpr std::uint32_t publishers = 3;

/// Subscribers that have a filter for the topic, one entry per filter.
std::vector<std::uint32_t> audience(const filter_spread& s, const std::string& topic) {
    std::vector<std::uint32_t> out;
    for (std::uint32_t i = 0; i < subscribers; ++i)
        for (const auto& f : s.filters_of(i))
            if (proto::topic_matches(f, topic)) out.push_back(i);
    return out;
}

} // namespace

TEST_CASE("filters are distinct, evenly dealt out, and half of them have wildcards") {
    const filter_spread s("x", filters, subscribers, publishers);
    std::set<std::string> all;
    std::size_t wild = 0;
    for (std::uint32_t i = 0; i < subscribers; ++i) {
        const auto mine = s.filters_of(i);
        CHECK(mine.size() == filters / subscribers);
        all.insert(mine.begin(), mine.end());
        for (const auto& f : mine) wild += f.find_first_of("+#") != std::string::npos ? 1 : 0;
    }
    CHECK(all.size() == filters);
    CHECK(wild == filters / 2);
}

TEST_CASE("every message matches one filter, of the subscriber that awaits it") {
    const filter_spread s("x", filters, subscribers, publishers);
    for (std::uint32_t p = 0; p < publishers; ++p)
        for (std::uint64_t k = 0; k < filters + 7; ++k)
            REQUIRE(audience(s, s.topic_of(p, k)) == std::vector{s.subscriber_of(k)});
}

TEST_CASE("a publisher comes by every filter before it comes by one again") {
    for (const std::uint32_t count : {20U, 40U, 300U, 2000U}) {
        CAPTURE(count);
        const filter_spread s("x", count, subscribers, publishers);
        std::set<std::string> topics;
        for (std::uint64_t k = 0; k < count; ++k) topics.insert(s.topic_of(1, k));
        CHECK(topics.size() == count);
        CHECK(s.topic_of(1, count) == s.topic_of(1, 0));
    }
}

TEST_CASE("a subscriber's messages of one publisher are numbered without gaps, as many as are due") {
    const filter_spread s("x", filters, subscribers, publishers);
    std::map<std::uint32_t, std::uint64_t> got;
    for (std::uint64_t k = 0; k < 1234; ++k) CHECK(s.turn_of(k) == got[s.subscriber_of(k)]++);
    for (std::uint32_t i = 0; i < subscribers; ++i) CHECK(s.due(i, 1234) == got[i]);
}

TEST_CASE("filters that cannot be dealt out evenly are refused") {
    CHECK_THROWS_AS(filter_spread("x", 301, subscribers, publishers), std::runtime_error);
    CHECK_THROWS_AS(filter_spread("x", 0, subscribers, publishers), std::runtime_error);
}

TEST_CASE("a payload is ours only with its length and its mark") {
    const message_head head{.sequence = 7, .sent_ns = 8, .publisher = 9};
    std::string payload(head.bytes());
    payload.resize(64, '.');
    const auto read = read_head(payload, 64);
    REQUIRE(read);
    CHECK(read->sequence == 7);
    CHECK(read->sent_ns == 8);
    CHECK(read->publisher == 9);
    CHECK_FALSE(read_head(payload, 65));
    CHECK_FALSE(read_head(payload.substr(0, 10), 10));
    payload[20] = static_cast<char>(payload[20] + 1);
    CHECK_FALSE(read_head(payload, 64));
}
