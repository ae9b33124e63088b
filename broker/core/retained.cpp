#include "broker/core/retained.hpp"

#include <algorithm>

#include "proto/rule.hpp"
#include "proto/topic.hpp"

namespace fb::core {
namespace {

/// The literal text every match of `filter` begins with. "a/#" also matches "a", so the '/' is not part of it there.
std::string_view literal_prefix(std::string_view filter) noexcept {
    const auto wild = filter.find_first_of("+#");
    if (wild == std::string_view::npos) return filter;
    if (filter[wild] == '#' && wild > 0) return filter.substr(0, wild - 1);
    return filter.substr(0, wild);
}

bool wild_in_first_level(std::string_view filter) noexcept {
    return filter.substr(0, filter.find('/')).find_first_of("+#") != std::string_view::npos;
}

constexpr std::size_t looks_per_step_max = 1024;
constexpr std::size_t found_per_step_max = 64;

} // namespace

std::size_t retained::stripe_of(std::string_view topic) noexcept {
    return std::hash<std::string_view>{}(topic.substr(0, topic.find('/'))) % stripe_count;
}

retained::outcome retained::replace(stripe& s, const message_ptr& m, std::uint64_t version) {
    const auto it = s.messages.find(m->topic());
    const std::uint64_t old_bytes = it == s.messages.end() ? 0 : it->second.message->bytes();
    if (rule<"v5[MQTT-3.3.1-6]", "v5[MQTT-3.3.1-7]", "v311[MQTT-3.3.1-10]", "v311[MQTT-3.3.1-11]">(
            m->payload().empty())) {
        if (it == s.messages.end()) return outcome::nothing_to_clear;
        erase(s, it);
        return outcome::cleared;
    }
    if (bytes() - old_bytes + m->bytes() > bytes_max_) return outcome::full;
    if (it == s.messages.end()) {
        if (message_count() >= messages_max_) return outcome::full;
        track_expiry(s, s.messages.emplace(m->topic(), entry{m, version}).first);
        messages_.fetch_add(1, std::memory_order_relaxed);
    } else {
        forget_expiry(s, it);
        if (rule<"v5[MQTT-3.3.1-5]", "v311[MQTT-3.3.1-5]", "v311[MQTT-3.3.1-7]">(true)) it->second = {m, version};
        track_expiry(s, it);
    }
    bytes_.fetch_add(m->bytes() - old_bytes, std::memory_order_relaxed);
    return outcome::stored;
}

void retained::erase(stripe& s, place at) {
    forget_expiry(s, at);
    messages_.fetch_sub(1, std::memory_order_relaxed);
    bytes_.fetch_sub(at->second.message->bytes(), std::memory_order_relaxed);
    s.messages.erase(at);
}

void retained::track_expiry(stripe& s, place at) {
    if (at->second.message->expires_mono_ms() != never)
        s.expiring.emplace(at->second.message->expires_mono_ms(), at->first);
}

void retained::forget_expiry(stripe& s, place at) {
    if (at->second.message->expires_mono_ms() != never)
        s.expiring.erase({at->second.message->expires_mono_ms(), at->first});
}

void retained::drop_expired(std::int64_t mono_ms, const std::function<void(const message_ptr&, std::uint64_t)>& gone) {
    for (stripe& s : stripes_) {
        const std::lock_guard lock(s.mutex);
        while (!s.expiring.empty() && s.expiring.begin()->first <= mono_ms) {
            const auto at = s.messages.find(s.expiring.begin()->second);
            const message_ptr m = at->second.message;
            erase(s, at);
            gone(m, version_.fetch_add(1, std::memory_order_relaxed) + 1);
        }
    }
}

retained::outcome retained::store(const message_ptr& m, const std::function<void(outcome, std::uint64_t)>& while_held) {
    stripe& s = stripes_[stripe_of(m->topic())];
    const std::lock_guard lock(s.mutex);
    // Taken before anybody looks for subscribers: see begin().
    const std::uint64_t version = version_.fetch_add(1) + 1;
    const outcome result = replace(s, m, version);
    while_held(result, version);
    return result;
}

void retained::restore(const message_ptr& m, std::uint64_t version) {
    stripe& s = stripes_[stripe_of(m->topic())];
    const std::lock_guard lock(s.mutex);
    replace(s, m, version);
    if (version > version_.load(std::memory_order_relaxed)) version_.store(version, std::memory_order_relaxed);
}

retained_walk retained::begin(std::string_view filter) const {
    retained_walk w;
    w.filter = filter;
    w.up_to = version_.load(); // a writer with a later version finds the subscription in the index
    if (!wild_in_first_level(filter)) w.stripe = stripe_of(filter);
    return w;
}

void retained::next(retained_walk& w, std::int64_t mono_ms, std::vector<message_ptr>& out) const {
    std::size_t looks = looks_per_step_max;
    while (!w.done && walk_stripe(stripes_[w.stripe], w, mono_ms, looks, out)) {
        w.after.clear();
        w.done = !wild_in_first_level(w.filter) || ++w.stripe == stripe_count;
    }
}

bool retained::holds(const message& m) const {
    const stripe& s = stripes_[stripe_of(m.topic())];
    const std::lock_guard lock(s.mutex);
    const auto at = s.messages.find(m.topic());
    return at != s.messages.end() && at->second.message.get() == &m;
}

/// True at the end of the stripe, with some `looks` left.
bool retained::walk_stripe(const stripe& s, retained_walk& w, std::int64_t mono_ms, std::size_t& looks,
                           std::vector<message_ptr>& out) {
    const std::string_view prefix = literal_prefix(w.filter);
    const std::lock_guard lock(s.mutex);
    auto it = w.after.empty() ? s.messages.lower_bound(prefix) : s.messages.upper_bound(w.after);
    for (; it != s.messages.end() && std::string_view(it->first).starts_with(prefix); ++it) {
        const entry& e = it->second;
        if (e.version <= w.up_to && !e.message->expired(mono_ms) && proto::topic_matches(w.filter, it->first)) {
            out.push_back(e.message);
        }
        if (--looks != 0 && out.size() < found_per_step_max) continue;
        w.after = it->first;
        return false;
    }
    return true;
}

} // namespace fb::core
