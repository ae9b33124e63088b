#include "http/router.hpp"

namespace fb::http {

namespace {

bool is_parameter(std::string_view segment) { return segment.starts_with('{'); }

std::vector<std::string> split(std::string_view pattern) {
    std::vector<std::string> segments;
    while (!pattern.empty()) {
        pattern.remove_prefix(1);
        segments.emplace_back(pattern.substr(0, pattern.find('/')));
        pattern.remove_prefix(segments.back().size());
    }
    return segments;
}

bool fits(const std::vector<std::string>& pattern, const std::vector<std::string>& segments) {
    if (pattern.size() != segments.size()) return false;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        if (is_parameter(pattern[i]) ? segments[i].empty() : pattern[i] != segments[i]) return false;
    }
    return true;
}

} // namespace

router::router(std::vector<route> routes)
    : routes_(std::move(routes)) {
    for (const auto& each : routes_) patterns_.push_back(split(each.pattern));
}

router::match router::find(std::string_view method, const std::vector<std::string>& segments) const {
    match result;
    const auto wanted = method == "HEAD" ? std::string_view("GET") : method;
    for (std::size_t i = 0; i < routes_.size(); ++i) {
        if (!fits(patterns_[i], segments)) continue;
        if (routes_[i].method != wanted) {
            result.allow += (result.allow.empty() ? "" : ", ") + std::string(routes_[i].method);
            if (routes_[i].method == "GET") result.allow += ", HEAD";
            continue;
        }
        for (std::size_t k = 0; k < segments.size(); ++k)
            if (is_parameter(patterns_[i][k])) result.parameters.push_back(segments[k]);
        result.found = &routes_[i];
        return result;
    }
    return result;
}

} // namespace fb::http
