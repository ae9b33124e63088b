#include "proto/decode_body.hpp"
#include "proto/topic.hpp"

namespace fb::proto {
namespace {

// Says which rule an invalid filter (of valid UTF-8) breaks.
rule_ids broken_filter_rule(std::string_view filter) noexcept {
    if (filter.empty()) return {"v5[MQTT-4.7.3-1]", "v311[MQTT-4.7.3-1]"};
    level_reader levels(filter);
    for (std::string_view level; levels.next(level);) {
        if (level.find('#') != std::string_view::npos && (level.size() != 1 || !levels.last()))
            return {"v5[MQTT-4.7.1-1]", "v311[MQTT-4.7.1-2]"};
        if (level.find('+') != std::string_view::npos && level.size() != 1)
            return {"v5[MQTT-4.7.1-2]", "v311[MQTT-4.7.1-3]"};
    }
    return {"v5[MQTT-4.8.2-1]", "v5[MQTT-4.8.2-1]"};
}

rule_ids broken_share_rule(std::string_view filter) noexcept {
    constexpr rule_ids group{"v5[MQTT-4.8.2-1]", "v5[MQTT-4.8.2-1]"};
    constexpr rule_ids rest{"v5[MQTT-4.8.2-2]", "v5[MQTT-4.8.2-2]"};
    level_reader levels(filter);
    std::string_view level;
    levels.next(level); // "$share"
    levels.next(level);
    if (level.empty()) return group;
    if (level.find_first_of("+#") != std::string_view::npos) return rest;
    const auto plain = filter.find('/', filter.find('/') + 1);
    if (plain == std::string_view::npos || plain + 1 == filter.size()) return rest;
    return broken_filter_rule(filter.substr(plain + 1));
}

std::string_view read_filter(cursor& in, rule_ids text) noexcept {
    const auto filter = in.string(text, text);
    if (!in.ok()) return {};
    if (is_share(filter)) {
        if (!parse_share(filter)) in.malformed(broken_share_rule(filter), "invalid shared subscription");
    } else if (!valid_topic_filter(filter)) {
        in.malformed(broken_filter_rule(filter), "invalid topic filter");
    }
    return filter;
}

// v5 3.8.3.1.
subscription_options read_options_v5(cursor& in, std::string_view filter) noexcept {
    const unsigned bits = in.u8();
    const unsigned quality = bits & 3u;
    const unsigned retained = bits >> 4 & 3u;
    subscription_options options;
    options.no_local = (bits & 4u) != 0;
    options.retain_as_published = (bits & 8u) != 0;
    in.malformed_if((bits & 0xC0u) != 0, {"v5[MQTT-3.8.3-5]", ""}, "reserved bits of the subscription options");
    if (quality == 3) in.protocol_error({"v5 3.8.3.1", ""}, "maximum QoS 3");
    if (retained == 3) in.protocol_error({"v5 3.8.3.1", ""}, "retain handling 3");
    const bool shared = options.no_local && is_share(filter);
    in.protocol_error_if(shared, {"v5[MQTT-3.8.3-4]", ""}, "no local on a shared subscription");
    options.maximum_qos = static_cast<qos>(quality);
    options.retained = static_cast<retain_handling>(retained);
    return options;
}

subscription_options read_options_v311(cursor& in) noexcept {
    const auto bits = in.u8();
    if (in.malformed_if(bits > 2, {"", "v311[MQTT-3.8.3-4]"}, "requested QoS is not 0, 1 or 2")) return {};
    return {.maximum_qos = static_cast<qos>(bits)};
}

} // namespace

result<subscribe> decode_subscribe(const frame& f, version v) {
    return decode_body<subscribe>(f, v, [&f](cursor& in, subscribe& p) {
        require_flags_0010(in, f, {"v5[MQTT-3.8.1-1]", "v311[MQTT-3.8.1-1]"});
        p.id = read_packet_id(in);
        read_properties(in, p.properties);
        constexpr rule_ids one{"v5[MQTT-3.8.3-2]", "v311[MQTT-3.8.3-3]"};
        in.protocol_error_if(in.at_end(), one, "SUBSCRIBE without a topic filter");
        while (!in.at_end()) {
            topic_request request;
            request.filter = read_filter(in, {"v5[MQTT-3.8.3-1]", "v311[MQTT-3.8.3-1]"});
            request.options = in.is_v5() ? read_options_v5(in, request.filter) : read_options_v311(in);
            p.requests.push_back(request);
        }
    });
}

result<unsubscribe> decode_unsubscribe(const frame& f, version v) {
    return decode_body<unsubscribe>(f, v, [&f](cursor& in, unsubscribe& p) {
        require_flags_0010(in, f, {"v5[MQTT-3.10.1-1]", "v311[MQTT-3.10.1-1]"});
        p.id = read_packet_id(in);
        read_properties(in, p.user);
        constexpr rule_ids one{"v5[MQTT-3.10.3-2]", "v311[MQTT-3.10.3-2]"};
        in.protocol_error_if(in.at_end(), one, "UNSUBSCRIBE without a topic filter");
        while (!in.at_end()) p.filters.push_back(read_filter(in, {"v5[MQTT-3.10.3-1]", "v311[MQTT-3.10.3-1]"}));
    });
}

} // namespace fb::proto
