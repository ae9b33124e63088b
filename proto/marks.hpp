// What rule<>() and reached<>() (proto/rule.hpp) note in builds with FB_MARKS; tests/support/doctest_main.cpp reads it.
//
// Any thread may decide; one lock guards all of it. That lock orders threads that production does not order, so builds
// with thread sanitizer have no marks.
//
// FB_MUTATE in the environment names one place and what it is to say instead: "proto/frame.cpp:27=0", "=1" for a
// condition, "=x" for any other value, which becomes another one.
#pragma once

#include <array>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace fb::marks {

struct site {
    const char* file = "";
    unsigned line = 0;
};

/// The value of a statement that has no condition.
struct unconditional {};

/// What was decided at one place for one id: a set of these letters.
enum outcome : unsigned { was_false = 1, was_true = 2, was_other_value = 4, was_reached = 8 };

class registry {
  public:
    registry() {
        const char* asked = std::getenv("FB_MUTATE");
        const std::string_view text = asked == nullptr ? "" : asked;
        const auto colon = text.rfind(':');
        const auto equals = text.rfind('=');
        if (colon == text.npos || equals == text.npos || equals + 1 == text.size()) return;
        mutant_file_ = text.substr(0, colon);
        mutant_line_ = static_cast<unsigned>(std::strtoul(text.data() + colon + 1, nullptr, 10));
        mutant_says_ = text[equals + 1];
    }
    /// Notes are taken from here on. Nobody reads those of a broker, and its shards would wait for each other.
    void clear() {
        wanted_.store(true, std::memory_order_relaxed);
        const std::lock_guard lock(mutex_);
        for (place& p : places_) p.outcomes = 0;
    }
    /// (id, "proto/frame.cpp:27") -> outcomes since the last clear().
    std::map<std::pair<std::string, std::string>, unsigned> seen() {
        const std::lock_guard lock(mutex_);
        std::map<std::pair<std::string, std::string>, unsigned> all;
        for (const place& p : places_) {
            if (p.outcomes == 0) continue;
            std::string_view path = p.at.file;
            for (const std::string_view folder : {"/proto/", "/broker/"})
                if (const auto begin = path.rfind(folder); begin != path.npos) path.remove_prefix(begin + 1);
            all[{p.id, std::string(path) + ":" + std::to_string(p.at.line)}] |= p.outcomes;
        }
        return all;
    }
    void note(const char* id, const site& at, outcome o) {
        if (!wanted_.load(std::memory_order_relaxed)) return;
        const std::lock_guard lock(mutex_);
        const auto first = std::hash<const void*>{}(id) ^ std::hash<const void*>{}(at.file) * 31 ^ at.line * 131u;
        for (std::size_t i = 0; i < places_.size(); ++i) {
            place& p = places_[(first + i) % places_.size()];
            const bool is_new = p.id == nullptr;
            if (is_new) p = {id, at, 0};
            if (p.id != id || p.at.file != at.file || p.at.line != at.line) continue;
            p.outcomes |= o;
            return;
        }
        std::abort(); // more places than the table holds
    }
    bool is_mutant(const site& at) const {
        return at.line == mutant_line_ && std::string_view(at.file).ends_with(mutant_file_);
    }
    char mutant_says() const { return mutant_says_; }

  private:
    struct place {
        const char* id = nullptr;
        site at;
        unsigned outcomes = 0;
    };
    std::atomic<bool> wanted_{false};
    std::mutex mutex_;
    std::array<place, 8192> places_; // and no allocation: tests count those
    std::string mutant_file_;
    unsigned mutant_line_ = 0;
    char mutant_says_ = 0;
};

inline registry& all() {
    static registry the_one;
    return the_one;
}

template <class T>
outcome outcome_of(const T& value) {
    if constexpr (std::is_same_v<T, bool>) return value ? was_true : was_false;
    if constexpr (std::is_same_v<T, unconditional>) return was_reached;
    return was_other_value;
}

template <class T>
T another(T value, char says) {
    if constexpr (std::is_same_v<T, bool>)
        return says == '1';
    else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>)
        return static_cast<T>(static_cast<long long>(value) ^ 1);
    else
        return T{};
}

template <class T>
T decide(T value, std::span<const char* const> ids, const site& at) {
    bool any = false;
    for (const char* id : ids) {
        if (std::string_view(id).find('[') == std::string_view::npos) continue; // a section without an id
        any = true;
        all().note(id, at, outcome_of(value));
    }
    return any && all().is_mutant(at) ? another(value, all().mutant_says()) : value;
}

} // namespace fb::marks
