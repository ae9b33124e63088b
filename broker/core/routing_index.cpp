#include "broker/core/routing_index.hpp"

#include <algorithm>
#include <iterator>
#include <mutex>
#include <tuple>

#include "proto/rule.hpp"
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

void merge(std::vector<match_entry>& entries, std::vector<std::uint32_t>& ids, const subscriber& s) {
    if (!entries.empty() && entries.back().session == s.session) {
        match_entry& e = entries.back();
        e.quality = rule<"v5[MQTT-3.3.4-2]", "v311[MQTT-3.3.5-1]">(std::max(e.quality, s.options.maximum_qos));
        e.retain_as_published |= s.options.retain_as_published;
        e.some_no_local |= s.options.no_local;
        e.durable |= s.durable;
    } else {
        match_entry e;
        e.session = s.session;
        e.quality = s.options.maximum_qos;
        e.retain_as_published = s.options.retain_as_published;
        e.some_no_local = s.options.no_local;
        e.durable = s.durable;
        e.first_id = static_cast<std::uint32_t>(ids.size());
        entries.push_back(e);
    }
    if (rule<"v5[MQTT-3.3.4-3]", "v5[MQTT-3.3.4-4]">(s.subscription_id != 0)) { // all of them
        ids.push_back(s.subscription_id);
        ++entries.back().id_count;
    }
}

bool erase_session(std::vector<subscriber>& from, const session_handle& who) {
    return std::erase_if(from, [&](const subscriber& s) { return s.session == who; }) != 0;
}

} // namespace

routing_index::edge_view::edge_view(node_id from, std::string_view text) noexcept
    : edge_view(from, text, std::hash<std::string_view>{}(text)) {}

std::size_t routing_index::edge_hash::operator()(const edge_view& e) const noexcept {
    return e.level_hash ^ (e.parent * 0x9E3779B97F4A7C15ull);
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

routing_index::node_id routing_index::find_child(const edge_view& e) const {
    const auto it = edges_.find(e);
    const bool none = rule<"v5[MQTT-3.3.2-3]", "v5[MQTT-4.7.3-4]", "v311[MQTT-3.3.2-3]", "v311[MQTT-4.7.3-4]">(
        it == edges_.end()); // character by character
    return none ? 0 : it->second;
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
        node_id next = level == "+" ? nodes_[at].plus : find_child({at, level});
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
        if (!n.here.empty() || !n.rest.empty() || n.shares || n.children != 0) return;
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

share_member_ptr routing_index::join(const proto::share& where, const subscriber& who, share_state now) {
    share_member_ptr member(new share_member);
    member->session = who.session;
    member->options = who.options;
    member->durable = who.durable;
    member->state.store(now, std::memory_order_relaxed);
    if (who.subscription_id != 0) {
        auto ids = boost::intrusive_ptr<id_list>(new id_list);
        ids->ids.push_back(who.subscription_id);
        member->ids = std::move(ids);
    }
    {
        std::unique_lock lock(mutex_);
        bool rest = false;
        node& n = nodes_[find_or_make(where.filter, true, rest)];
        if (!n.shares) n.shares = std::make_unique<node_shares>();
        auto& groups = rest ? n.shares->rest : n.shares->here;
        auto at = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g->name == where.group; });
        if (at == groups.end()) {
            at = groups.insert(groups.end(), share_group_ptr(new share_group));
            (*at)->name = where.group;
            (*at)->members = share_members_ptr(new share_members);
        }
        if (!remove_member(**at, who.session)) count_.fetch_add(1, std::memory_order_relaxed);
        auto members = boost::intrusive_ptr<share_members>(new share_members(*(*at)->members));
        members->all.push_back(member);
        (*at)->members = std::move(members);
    }
    raise_version(where.filter);
    return member;
}

void routing_index::leave(const proto::share& where, const session_handle& who) {
    {
        std::unique_lock lock(mutex_);
        bool rest = false;
        const node_id id = find_or_make(where.filter, false, rest);
        if (id == 0 || !nodes_[id].shares) return;
        node_shares& shares = *nodes_[id].shares;
        auto& groups = rest ? shares.rest : shares.here;
        const auto at =
            std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g->name == where.group; });
        if (at == groups.end() || !remove_member(**at, who)) return;
        count_.fetch_sub(1, std::memory_order_relaxed);
        if ((*at)->members->all.empty()) groups.erase(at);
        if (shares.here.empty() && shares.rest.empty()) nodes_[id].shares.reset();
        prune(id);
    }
    raise_version(where.filter);
}

/// Lists that were handed out stay as they were.
bool routing_index::remove_member(share_group& group, const session_handle& who) {
    const auto is_it = [&](const share_member_ptr& m) { return m->session == who; };
    const auto& all = group.members->all;
    if (std::none_of(all.begin(), all.end(), is_it)) return false;
    auto members = boost::intrusive_ptr<share_members>(new share_members);
    std::remove_copy_if(all.begin(), all.end(), std::back_inserter(members->all), is_it);
    group.members = std::move(members);
    return true;
}

share_members_ptr routing_index::members_of(const share_group& group) const {
    const std::shared_lock lock(mutex_);
    return group.members;
}

void routing_index::add_here(const node& n, matches& out) const {
    for (const subscriber& s : n.here) out.plain.push_back(&s);
    if (!n.shares) return;
    for (const share_group_ptr& g : n.shares->here) out.shared.push_back(g.get());
}

void routing_index::add_rest(const node& n, matches& out) const {
    for (const subscriber& s : n.rest) out.plain.push_back(&s);
    if (!n.shares) return;
    for (const share_group_ptr& g : n.shares->rest) out.shared.push_back(g.get());
}

void routing_index::collect(std::string_view topic, matches& out) const {
    // Breadth first with two node lists instead of recursion: a topic of many levels costs no stack (CVE-2019-11779).
    short_list<node_id> at{root}, next;
    const bool hidden = rule<"v5[MQTT-4.7.2-1]", "v311[MQTT-4.7.2-1]">(topic.starts_with('$'));
    bool first = true;
    proto::level_reader levels(topic);
    for (std::string_view level; levels.next(level);) {
        next.clear();
        const std::size_t hash = std::hash<std::string_view>{}(level);
        for (node_id id : at) {
            const bool wild = !(first && hidden);
            if (wild) add_rest(nodes_[id], out);
            if (const node_id child = find_child({id, level, hash})) next.push_back(child);
            if (wild && nodes_[id].plus != 0) next.push_back(nodes_[id].plus);
        }
        at.swap(next);
        first = false;
        if (at.empty()) return;
    }
    for (node_id id : at) {
        add_here(nodes_[id], out);
        add_rest(nodes_[id], out); // "sport/#" also matches "sport" (v5 4.7.1.2)
    }
}

match_list_ptr routing_index::match(std::string_view topic) const {
    auto list = boost::intrusive_ptr<match_list>(new match_list);
    match(topic, *list);
    return list;
}

void routing_index::match(std::string_view topic, match_list& into) const {
    into.clear();
    matches found;
    std::shared_lock lock(mutex_);
    collect(topic, found);
    const auto by_session = [](const subscriber* a, const subscriber* b) {
        return std::tie(a->session.shard, a->session.slot, a->session.generation) <
               std::tie(b->session.shard, b->session.slot, b->session.generation);
    };
    if (found.plain.size() > 1) std::stable_sort(found.plain.begin(), found.plain.end(), by_session); // it allocates
    into.entries.reserve(found.plain.size());
    std::vector<std::uint32_t> ids;
    for (const subscriber* s : found.plain) merge(into.entries, ids, *s);
    auto e = into.entries.begin();
    for (const subscriber* s : found.plain) { // in the order of the entries
        while (e->session != s->session) ++e;
        if (e->some_no_local && !s->options.no_local) merge(into.own, ids, *s);
    }
    if (!ids.empty()) {
        const auto shared_ids = boost::intrusive_ptr<id_list>(new id_list);
        shared_ids->ids = std::move(ids);
        into.ids = shared_ids;
    }
    for (share_group* g : found.shared) into.shares.push_back({g, g->members});
}

} // namespace fb::core
