// Three topics or filters, divided by line ends: matching and covering agree with each other.
#include "fuzz_input.hpp"
#include "proto/topic.hpp"

using fb::fuzz::require;
using namespace fb::proto;

namespace {

std::string_view next_line(std::string_view& rest) {
    const auto end = rest.find('\n');
    const auto line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return line;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    const auto outer = next_line(rest);
    const auto inner = next_line(rest);
    const auto topic = next_line(rest);
    if (const auto parts = parse_share(outer)) require(is_share(outer) && valid_topic_filter(parts->filter));
    if (valid_topic_name(topic)) require(valid_topic_filter(topic) && topic_matches(topic, topic));
    if (!valid_topic_filter(outer)) return 0;
    require(filter_covers(outer, outer));
    if (valid_topic_name(topic)) require(filter_covers(outer, topic) == topic_matches(outer, topic));
    if (!valid_topic_filter(inner) || !filter_covers(outer, inner)) return 0;
    if (valid_topic_name(topic) && topic_matches(inner, topic)) require(topic_matches(outer, topic));
    return 0;
}
