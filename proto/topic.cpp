#include "proto/topic.hpp"

#include "proto/utf8.hpp"

namespace fb::proto {
namespace {

constexpr std::size_t topic_size_max = 65535;
constexpr std::string_view share_prefix = "$share/";

bool has_wildcard(std::string_view text) noexcept {
    return text.find('+') != std::string_view::npos || text.find('#') != std::string_view::npos;
}

// v5[MQTT-4.7.3-1], v5[MQTT-4.7.3-2], v5[MQTT-4.7.3-3]; the same ids in v311.
bool valid_topic_text(std::string_view text) noexcept {
    return !text.empty() && text.size() <= topic_size_max && valid_utf8_string(text);
}

bool begins_with_wildcard(std::string_view filter) noexcept {
    return !filter.empty() && (filter.front() == '+' || filter.front() == '#');
}

// v5[MQTT-4.7.2-1], v311[MQTT-4.7.2-1]: $-topics are out of reach of a filter that begins with a wildcard.
bool hidden_by_dollar(std::string_view filter, std::string_view topic) noexcept {
    return topic.starts_with('$') && begins_with_wildcard(filter);
}

} // namespace

bool valid_topic_name(std::string_view topic) noexcept {
    return valid_topic_text(topic) && !has_wildcard(topic); // v5[MQTT-4.7.0-1], v311[MQTT-4.7.1-1]
}

bool valid_topic_filter(std::string_view filter) noexcept {
    if (!valid_topic_text(filter)) return false;
    level_reader levels(filter);
    std::string_view level;
    while (levels.next(level)) {
        if (!has_wildcard(level)) continue;
        if (level.size() != 1) return false;              // v5[MQTT-4.7.1-1], v5[MQTT-4.7.1-2]
        if (level == "#" && !levels.last()) return false; // v5[MQTT-4.7.1-1], v311[MQTT-4.7.1-2]
    }
    return true;
}

bool topic_matches(std::string_view filter, std::string_view topic) noexcept {
    if (hidden_by_dollar(filter, topic)) return false;
    level_reader wanted(filter);
    level_reader levels(topic);
    std::string_view want;
    std::string_view level;
    while (wanted.next(want)) {
        if (want == "#") return true; // the parent level too: "a/#" matches "a"
        if (!levels.next(level)) return false;
        if (want != "+" && want != level) return false;
    }
    return levels.last();
}

bool filter_covers(std::string_view outer, std::string_view inner) noexcept {
    if (hidden_by_dollar(outer, inner)) return false;
    // '#' stands for its parent level too, so "a/+/#" does not cover "a/#". Here the parent would be the empty topic,
    // which does not exist: "+/#" says the same as "#", and "/+/#" the same as "/#".
    const bool no_parent = inner == "#" || inner == "/#";
    level_reader outer_levels(outer);
    level_reader inner_levels(inner);
    std::string_view out;
    std::string_view in;
    while (outer_levels.next(out)) {
        if (out == "#") return true;
        if (!inner_levels.next(in)) return false;
        if (in == "#") return no_parent && out == "+" && outer_levels.next(out) && out == "#";
        if (out != "+" && out != in) return false;
    }
    return inner_levels.last();
}

std::size_t topic_levels(std::string_view topic) noexcept {
    std::size_t levels = 1;
    for (const char c : topic) levels += c == '/';
    return levels;
}

bool is_share(std::string_view filter) noexcept { return filter.starts_with(share_prefix); }

std::optional<share> parse_share(std::string_view filter) noexcept {
    if (!is_share(filter)) return std::nullopt;
    filter.remove_prefix(share_prefix.size());
    const auto slash = filter.find('/');
    if (slash == std::string_view::npos) return std::nullopt; // v5[MQTT-4.8.2-2]
    const share parts{filter.substr(0, slash), filter.substr(slash + 1)};
    if (parts.group.empty() || has_wildcard(parts.group)) return std::nullopt; // v5[MQTT-4.8.2-1], v5[MQTT-4.8.2-2]
    if (!valid_utf8_string(parts.group) || !valid_topic_filter(parts.filter)) return std::nullopt;
    return parts;
}

} // namespace fb::proto
