// Marks the line that decides a normative statement of the standards:
//
//     if (rule<"v5[MQTT-3.1.2-3]", "v311[MQTT-3.1.2-3]">((flags & flag_reserved) != 0)) ...
//
// rule<ids>(value) is value, and nothing else is compiled. In builds with FB_MARKS (presets debug and asan) it also
// notes that the decision was reached (proto/marks.hpp), so that a test proves its name, and it can be told to decide
// otherwise, so that the mutation run (tests/mutation) proves that a test notices.
#pragma once

#include <cstddef>

#ifdef FB_MARKS
#include "proto/marks.hpp"
#endif

namespace fb {

/// A statement's id with its version, as a template argument.
template <std::size_t Size>
struct statement_id {
    char text[Size]{};

    consteval statement_id(const char (&id)[Size]) { // NOLINT(google-explicit-constructor)
        for (std::size_t i = 0; i < Size; ++i) text[i] = id[i];
        const bool v5 = id[0] == 'v' && id[1] == '5' && id[2] == '[';
        const bool v311 = id[0] == 'v' && id[1] == '3' && id[4] == '[';
        if (!(v5 || v311) || id[Size - 2] != ']') throw "not a statement id"; // does not compile
    }
};

#ifdef FB_MARKS

template <statement_id... Ids, class T>
T rule(T value, const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    static constexpr const char* ids[] = {Ids.text...};
    return marks::decide(value, ids, {file, line});
}

/// For what is done without a condition.
template <statement_id... Ids>
void reached(const char* file = __builtin_FILE(), unsigned line = __builtin_LINE()) {
    static constexpr const char* ids[] = {Ids.text...};
    marks::decide(marks::unconditional{}, ids, {file, line});
}

#else

template <statement_id... Ids, class T>
constexpr T rule(T value) noexcept {
    return value;
}

template <statement_id... Ids>
constexpr void reached() noexcept {}

#endif

/// The ids one rule has in both standards, where the code that decides is shared by many rules and learns at run time
/// which it is. Either may be empty, or a section without an id: "v5 2.1.4".
struct rule_ids {
    const char* v5;
    const char* v311;

#ifdef FB_MARKS
    marks::site where;
    constexpr rule_ids(const char* id5, const char* id311, const char* file = __builtin_FILE(),
                       unsigned line = __builtin_LINE())
        : v5(id5)
        , v311(id311)
        , where{file, line} {}
    static constexpr rule_ids v5_only(const char* id, const char* file = __builtin_FILE(),
                                      unsigned line = __builtin_LINE()) {
        return {id, id, file, line};
    }
    bool decide(bool value, bool is_v5) const {
        const char* ids[] = {is_v5 ? v5 : v311};
        return marks::decide(value, ids, where);
    }
#else
    constexpr rule_ids(const char* id5, const char* id311) noexcept
        : v5(id5)
        , v311(id311) {}
    static constexpr rule_ids v5_only(const char* id) noexcept { return {id, id}; }
    constexpr bool decide(bool value, bool) const noexcept { return value; }
#endif
};

} // namespace fb
