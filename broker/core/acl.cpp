#include "broker/core/acl.hpp"

#include <algorithm>
#include <array>

#include "proto/topic.hpp"

namespace fb::core {
namespace {

constexpr std::string_view device_prefix = "device/";
constexpr std::array<std::string_view, 4> device_topics{"status", "update/progress", "update/result", "fw/get"};
constexpr std::array<std::string_view, 2> device_branches{"telemetry/", "event/"};

/// The part behind "device/<id>/", or nothing: compared as text, so that no character of an id can act as a pattern
/// (CVE-2017-7650's class).
std::string_view below_own_prefix(const principal& who, std::string_view topic) {
    if (!who.is_device() || !topic.starts_with(device_prefix)) return {};
    topic.remove_prefix(device_prefix.size());
    if (!topic.starts_with(who.device_id)) return {};
    topic.remove_prefix(who.device_id.size());
    if (!topic.starts_with('/')) return {};
    return topic.substr(1);
}

std::string substitute(const std::string& pattern, const principal& who) {
    const auto at = pattern.find("%d");
    if (at == std::string::npos) return pattern;
    std::string text = pattern;
    return text.replace(at, 2, who.device_id);
}

} // namespace

acl::acl(std::vector<acl_rule> rules)
    : rules_(std::move(rules)) {
    anonymous_has_rules_ =
        std::any_of(rules_.begin(), rules_.end(), [](const acl_rule& r) { return r.principal == "anonymous"; });
}

bool acl::granted(const principal& who, std::string_view filter, std::vector<std::string> acl_rule::*list) const {
    for (const acl_rule& rule : rules_) {
        const bool names_anonymous = rule.principal == "anonymous" && who.kind == principal_kind::anonymous;
        const bool names_it = rule.principal == who.name && who.kind != principal_kind::anonymous;
        if (rule.principal != "*" && !names_anonymous && !names_it) continue;
        for (const std::string& pattern : rule.*list) {
            if (pattern.find("%d") != std::string::npos && !who.is_device()) continue;
            if (proto::filter_covers(substitute(pattern, who), filter)) return true;
        }
    }
    return false;
}

bool acl::may_publish(const principal& who, std::string_view topic) const {
    if (who.kind == principal_kind::local) return true;
    if (who.kind == principal_kind::anonymous && !who.is_device() && !anonymous_has_rules_) return true;
    const std::string_view own = below_own_prefix(who, topic);
    if (!own.empty()) {
        if (std::find(device_topics.begin(), device_topics.end(), own) != device_topics.end()) return true;
        for (std::string_view branch : device_branches) {
            if (own.starts_with(branch) || own == branch.substr(0, branch.size() - 1)) return true;
        }
    }
    return granted(who, topic, &acl_rule::publish);
}

bool acl::may_subscribe(const principal& who, std::string_view filter) const {
    if (who.kind == principal_kind::local) return true;
    if (who.kind == principal_kind::anonymous && !who.is_device() && !anonymous_has_rules_) return true;
    if (!below_own_prefix(who, filter).empty()) return true;
    return granted(who, filter, &acl_rule::subscribe);
}

} // namespace fb::core
