// Why something is refused, in words for people (Reason String) and, where a bound is the reason, with its name for
// programs (User Property "limit"; the key under [limits] in the configuration). Texts live as long as the call.
#pragma once

#include <concepts>
#include <string_view>

namespace fb::core {

struct explanation {
    std::string_view text;
    std::string_view limit{};

    explanation() = default;
    template <std::convertible_to<std::string_view> Text>
    explanation(const Text& why, std::string_view name = {}) // NOLINT(google-explicit-constructor)
        : text(why)
        , limit(name) {}

    /// Into the properties of any packet that has both.
    template <class Properties>
    void put(Properties& p) const {
        if (!text.empty()) p.reason_string = text;
        if (!limit.empty()) p.user.add("limit", limit);
    }
};

} // namespace fb::core
