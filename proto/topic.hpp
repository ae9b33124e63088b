// Topic names and topic filters: what is valid (v5 4.7, v311 4.7), what matches what, shared subscription syntax.
// Pure functions without recursion or allocation.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace fb::proto {

/// At least one character, no U+0000, no wildcard, at most 65535 bytes, valid UTF-8 (v5[MQTT-4.7.3-1], -2, -3).
bool valid_topic_name(std::string_view topic) noexcept;

/// A topic filter without a $share prefix: '#' only last and alone in its level, '+' alone in its level
/// (v5[MQTT-4.7.1-1], -2).
bool valid_topic_filter(std::string_view filter) noexcept;

/// Does `filter` (valid, no $share) match `topic`? A filter that begins with a wildcard does not match a topic that
/// begins with '$' (v5[MQTT-4.7.2-1]).
bool topic_matches(std::string_view filter, std::string_view topic) noexcept;

/// Does everything that `inner` can match also match `outer`? Both are valid filters: the ACL's question about a
/// subscription.
bool filter_covers(std::string_view outer, std::string_view inner) noexcept;

/// Number of levels: one more than the number of '/'.
std::size_t topic_levels(std::string_view topic) noexcept;

struct share {
    std::string_view group;
    std::string_view filter;
};

/// True for anything that begins with "$share/": then it is a shared subscription or an error, never a plain filter.
bool is_share(std::string_view filter) noexcept;

/// Splits "$share/{group}/{filter}"; nothing when the group is empty or holds a wildcard or the filter is not valid
/// (v5[MQTT-4.8.2-1], -2).
std::optional<share> parse_share(std::string_view filter) noexcept;

/// Walks the levels of a topic or filter: `while (levels.next(level)) ...`.
class level_reader {
  public:
    explicit level_reader(std::string_view topic) noexcept
        : rest_(topic) {}
    bool next(std::string_view& level) noexcept {
        if (done_) return false;
        const auto slash = rest_.find('/');
        level = rest_.substr(0, slash);
        if (slash == std::string_view::npos)
            done_ = true;
        else
            rest_.remove_prefix(slash + 1);
        return true;
    }
    bool last() const noexcept { return done_; }

  private:
    std::string_view rest_;
    bool done_ = false;
};

} // namespace fb::proto
