#include "broker/core/routing_index.hpp"

#include <algorithm>
#include <mutex>
#include <tuple>

#include "proto/topic.hpp"

namespace fb::core {
namespace {

constexpr std::uint32_t root = 1; // node 0 means "none"

/// The first two levels of a topic, as one piece of text.
std::string_view two_levels(std::string_view topic) noexcept {
    const auto first = topic.find('/');
    if (first == std::string_view::npos) return topic;
    return topic.substr(0, topic.find('/', first + 1));
}

/// Whether a filter can match topics of more than one pair of first levels. "a/#" also matches "a" itself.
bool wild_in_two_levels(std::string_view filter) noexcept {
    return two_levels(filter).find_first_of("+#") != std::string_view::npos;
}

void merge(match_list& list, const subscriber& s) {
    if (!list.entries.empty() && list.entries.back().session == s.session) {
        match_entry& e = list.entries.back();
        e.quality = std::max(e.quality, s.options.maximum_qos);
        e.retain_as_published |= s.options.retain_as_published;
        e.no_local &= s.options.no_local;
        e.some_no_local |= s.options.no_local;
        e.durable |= s.durable;
    } else {
        match_entry e;
        e.session = s.session;
        e.quality = s.options.maximum_qos;
        e.retain_as_published = s.options.retain_as_published;
        e.no_local = e.some_no_local = s.options.no_local;
        e.durable = s.durable;
        e.first_id = static_cast<std::uint32_t>(list.subscription_ids.size());
        list.entries.push_back(e);
    }
    if (s.subscription_id != 0) { // v5[MQTT-3.3.4-3] one identifier, v5[MQTT-3.3.4-4] all of them
        list.subscription_ids.push_back(s.subscription_id);
        ++list.entries.back().id_count;
    }
}

bool erase_session(std::vector<subscriber>& from, const session_handle& who) {
    return std::erase_if(from, [&](const subscriber& s) { return s.session == who; }) != 0;
}

} // namespace

std::size_t routing_index::edge_hash::operator()(const edge_view& e) const noexcept {
    return std::hash<std::string_view>{}(e.level) ^ (e.parent * 0x9E3779B97F4A7C15ull);
}

routing_index::routing_index()
    : nodes_(2) {}
routing_index::~routing_index() = default;

std::size_t routing_index::version_slot(std::string_view topic) noexcept {
    return std::hash<std::string_view>{}(two_levels(topic)) % version_count;
}

std::uint64_t routing_index::version(std::string_view topic) const noexcept {
    return versions_[version_slot(topic)].load(std::memory_order_acquire);
}

void routing_index::raise_version(std::string_view filter) noexcept {
    if (wild_in_two_levels(filter)) {
        for (auto& v : versions_) v.fetch_add(1, std::memory_order_release);
    } else {
        versions_[version_slot(filter)].fetch_add(1, std::memory_order_release);
        // "a/b/#" lies in the slot of "a/b" as do all its topics.
    }
}

routing_index::node_id routing_index::find_child(node_id parent, std::string_view level) const {
    const auto it = edges_.find(edge_view{parent, level});
    return it == edges_.end() ? 0 : it->second;
}

routing_index::node_id routing_index::make_child(node_id parent, std::string_view level) {
    node_id id;
    if (free_.empty()) {
        id = static_cast<node_id>(nodes_.size());
        nodes_.emplace_back();
    } else {
        id = free_.back();
        free_.pop_back();
    }
    nodes_[id].parent = parent;
    nodes_[id].level = level;
    ++nodes_[parent].children;
    if (level == "+")
        nodes_[parent].plus = id;
    else
        edges_.emplace(edge{parent, std::string(level)}, id);
    return id;
}

routing_index::node_id routing_index::find_or_make(std::string_view filter, bool make, bool& rest) {
    node_id at = root;
    rest = false;
    proto::level_reader levels(filter);
    for (std::string_view level; levels.next(level);) {
        if (level == "#") {
            rest = true;
            return at;
        }
        node_id next = level == "+" ? nodes_[at].plus : find_child(at, level);
        if (next == 0) {
            if (!make) return 0;
            next = make_child(at, level);
        }
        at = next;
    }
    return at;
}

void routing_index::prune(node_id id) {
    while (id != root) {
        node& n = nodes_[id];
        if (!n.here.empty() || !n.rest.empty() || n.children != 0) return;
        const node_id parent = n.parent;
        if (n.level == "+")
            nodes_[parent].plus = 0;
        else
            edges_.erase(edges_.find(edge_view{parent, n.level}));
        --nodes_[parent].children;
        n = node{};
        free_.push_back(id);
        id = parent;
    }
}

void routing_index::subscribe(std::string_view filter, const subscriber& who) {
    {
        std::unique_lock lock(mutex_);
        bool rest = false;
        node& n = nodes_[find_or_make(filter, true, rest)];
        auto& list = rest ? n.rest : n.here;
        if (!erase_session(list, who.session)) count_.fetch_add(1, std::memory_order_relaxed);
        list.push_back(who);
    }
    raise_version(filter);
}

void routing_index::unsubscribe(std::string_view filter, const session_handle& who) {
    {
        std::unique_lock lock(mutex_);
        bool rest = false;
        const node_id id = find_or_make(filter, false, rest);
        if (id == 0) return;
        if (!erase_session(rest ? nodes_[id].rest : nodes_[id].here, who)) return;
        count_.fetch_sub(1, std::memory_order_relaxed);
        prune(id);
    }
    raise_version(filter);
}

void routing_index::collect(std::string_view topic, std::vector<const subscriber*>& out) const {
    const auto add = [&](const std::vector<subscriber>& list) {
        for (const subscriber& s : list) out.push_back(&s);
    };
    // Breadth first with two node lists instead of recursion: a topic of many levels costs no stack (CVE-2019-11779).
    std::vector<node_id> at{root}, next;
    const bool hidden = topic.starts_with('$'); // v5[MQTT-4.7.2-1] v311[MQTT-4.7.2-1]
    bool first = true;
    proto::level_reader levels(topic);
    for (std::string_view level; levels.next(level);) {
        next.clear();
        for (node_id id : at) {
            const bool wild = !(first && hidden);
            if (wild) add(nodes_[id].rest);
            if (const node_id child = find_child(id, level)) next.push_back(child);
            if (wild && nodes_[id].plus != 0) next.push_back(nodes_[id].plus);
        }
        at.swap(next);
        first = false;
        if (at.empty()) return;
    }
    for (node_id id : at) {
        add(nodes_[id].here);
        add(nodes_[id].rest); // "sport/#" also matches "sport" (v5 4.7.1.2)
    }
}

match_list_ptr routing_index::match(std::string_view topic) const {
    auto list = boost::intrusive_ptr<match_list>(new match_list);
    std::vector<const subscriber*> found;
    std::shared_lock lock(mutex_);
    collect(topic, found);
    std::stable_sort(found.begin(), found.end(), [](const subscriber* a, const subscriber* b) {
        return std::tie(a->session.shard, a->session.slot, a->session.generation) <
               std::tie(b->session.shard, b->session.slot, b->session.generation);
    });
    list->entries.reserve(found.size());
    for (const subscriber* s : found) merge(*list, *s);
    return list;
}

const match_list_ptr& match_cache::lookup(std::string_view topic) {
    const std::uint64_t version = index_.version(topic); // read before matching: invariant (3)
    auto it = entries_.find(topic);
    if (it != entries_.end() && it->second.version == version) return it->second.list;
    if (it == entries_.end()) {
        if (entries_.size() >= entries_max_ || held_ >= entries_max_ * 64) {
            entries_.clear();
            held_ = 0;
        }
        it = entries_.emplace(std::string(topic), entry{}).first;
    } else {
        held_ -= it->second.list->entries.size();
    }
    it->second = entry{version, index_.match(topic)};
    held_ += it->second.list->entries.size();
    return it->second.list;
}

} // namespace fb::core
