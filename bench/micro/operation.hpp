// What is measured: named operations, each prepared once and then run as often as asked. One thread, no clock, no
// randomness, no client: the same instructions every time.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fb::micro {

/// Does the operation at least `count` times, in whole rounds, and returns how often. Throws when it was not done.
using runner = std::function<std::uint64_t(std::uint64_t count)>;

struct operation {
    std::string_view name;
    std::string_view what;   // is one of it
    std::uint64_t count = 0; // when nobody says how many
    runner (*prepare)() = nullptr;
};

std::span<const operation> codec_operations();
std::span<const operation> routing_operations();
std::span<const operation> delivery_operations();
std::span<const operation> session_operations();
std::span<const operation> store_operations();

/// A figure of something that did not happen is worth nothing.
inline void must(bool happened, std::string_view what) {
    if (!happened) throw std::runtime_error("not done: " + std::string(what));
}

} // namespace fb::micro
