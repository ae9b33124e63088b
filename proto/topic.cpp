#include "proto/topic.hpp"

#include "proto/rule.hpp"
#include "proto/utf8.hpp"

namespace fb::proto {
namespace {

constexpr std::size_t topic_size_max = 65535;
constexpr std::string_view share_prefix = "$share/";

bool has_wildcard(std::string_view text) noexcept {
    return text.find('+') != std::string_view::npos || text.find('#') != std::string_view::npos;
}

bool valid_topic_text(std::string_view text) noexcept {
    if (rule<"v5[MQTT-4.7.3-1]", "v311[MQTT-4.7.3-1]">(text.empty())) return false;
    if (rule<"v5[MQTT-4.7.3-3]", "v311[MQTT-4.7.3-3]">(text.size() > topic_size_max)) return false;
    return rule<"v5[MQTT-4.7.3-2]", "v311[MQTT-4.7.3-2]">(valid_utf8_string(text));
}

bool begins_with_wildcard(std::string_view filter) noexcept {
    return !filter.empty() && (filter.front() == '+' || filter.front() == '#');
}

// $-topics are out of reach of a filter that begins with a wildcard.
bool hidden_by_dollar(std::string_view filter, std::string_view topic) noexcept {
    return rule<"v5[MQTT-4.7.2-1]", "v311[MQTT-4.7.2-1]">(topic.starts_with('$') && begins_with_wildcard(filter));
}

} // namespace

bool valid_topic_name(std::string_view topic) noexcept {
    return valid_topic_text(topic) && !rule<"v5[MQTT-4.7.0-1]", "v311[MQTT-4.7.1-1]">(has_wildcard(topic));
}

bool valid_topic_filter(std::string_view filter) noexcept {
    if (!valid_topic_text(filter)) return false;
    level_reader levels(filter);
    std::string_view level;
    while (levels.next(level)) {
        if (rule<"v311[MQTT-3.8.3-2]">(!has_wildcard(level))) continue; // wildcards are supported
        const bool alone = level.size() == 1;
        const bool multi = level.find('#') != std::string_view::npos;
        if (multi && rule<"v5[MQTT-4.7.1-1]", "v311[MQTT-4.7.1-2]">(!alone || !levels.last())) return false;
        if (!multi && rule<"v5[MQTT-4.7.1-2]", "v311[MQTT-4.7.1-3]">(!alone)) return false;
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
        if (want != "+" && rule<"v5[MQTT-4.7.3-4]", "v311[MQTT-4.7.3-4]">(want != level)) return false;
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
    if (rule<"v5[MQTT-4.8.2-2]">(slash == std::string_view::npos)) return std::nullopt;
    const share parts{filter.substr(0, slash), filter.substr(slash + 1)};
    if (rule<"v5[MQTT-4.8.2-1]">(parts.group.empty())) return std::nullopt;
    if (rule<"v5[MQTT-4.8.2-2]">(has_wildcard(parts.group) || !valid_utf8_string(parts.group))) return std::nullopt;
    if (rule<"v5[MQTT-4.8.2-2]">(!valid_topic_filter(parts.filter))) return std::nullopt;
    return parts;
}

} // namespace fb::proto
