#include "http/list_query.hpp"

#include <charconv>

namespace fb::http {

namespace {

problem invalid(const char* name, const std::string& why) {
    return {400, "invalid_parameter", "the query parameter \"" + std::string(name) + "\" " + why};
}

std::optional<int> parse_limit(const std::string& text) {
    int limit = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (error != std::errc{} || end != text.data() + text.size() || limit < 1 || limit > 500) return std::nullopt;
    return limit;
}

bool known_state(const target& t, const std::string& state) {
    if (t.segments.back() == "firmwares") return storage::parse_firmware_state(state).has_value();
    return storage::parse_update_state(state).has_value();
}

} // namespace

or_problem<storage::list_query> list_query_of(const target& t) {
    storage::list_query q;
    if (const auto limit = t.parameter("limit")) {
        const auto number = parse_limit(*limit);
        if (!number) return invalid("limit", "must be a number from 1 to 500");
        q.limit = *number;
    }
    q.cursor = t.parameter("cursor");
    if (q.cursor && q.cursor->empty()) return invalid("cursor", "is empty");
    q.device_id = t.parameter("device_id");
    q.device_type = t.parameter("device_type");
    q.state = t.parameter("state");
    if (q.state && !known_state(t, *q.state)) return invalid("state", "names no state");
    q.status = t.parameter("status");
    if (q.status && !storage::parse_result_status(*q.status))
        return invalid("status", "must be success, failed or partial");
    q.firmware_id = t.parameter("firmware_id");
    if (q.firmware_id && !storage::parse_uuid(*q.firmware_id)) return invalid("firmware_id", "is not a uuid");
    return q;
}

} // namespace fb::http
