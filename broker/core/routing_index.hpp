// Filter -> subscribers, shared by all shards: the first of the two structures with a lock on the publish path.
//
// A trie whose edges live in one hash table. match() takes the lock shared; shards call it through a match_cache, so it
// runs on a cache miss only. Any thread may call anything.
//
// Invariants:
// (1) A match list is immutable once made and holds each session once, however many of its filters match.
// (2) Entries are sorted by shard, so that a shard reads one contiguous range.
// (3) version(topic) is raised after every change that could alter match(topic): a list made for the version read
//     before matching is right as long as the version stays.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/container/small_vector.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/handles.hpp"
#include "broker/core/share_group.hpp"
#include "proto/packets.hpp"
#include "proto/topic.hpp"

namespace fb::core {

/// One subscription as the index keeps it.
struct subscriber {
    session_handle session;
    proto::subscription_options options;
    std::uint32_t subscription_id = 0; // 0: none
    bool durable = false;              // the session outlives its connection
};

/// One session that gets a message, its matching subscriptions merged (v5[MQTT-3.3.4-2]: the maximum QoS of them).
struct match_entry {
    session_handle session;
    proto::qos quality = proto::qos::at_most_once;
    bool retain_as_published = false;
    bool some_no_local = false; // of the matching subscriptions: for the publisher itself own_entry() counts
    bool durable = false;
    std::uint32_t first_id = 0; // into match_list::ids
    std::uint32_t id_count = 0;
};

/// A shared subscription that matches, with its members when the list was made.
struct match_share {
    share_group_ptr group;
    share_members_ptr members;
};

struct match_list : boost::intrusive_ref_counter<match_list, boost::thread_safe_counter> {
    std::vector<match_entry> entries;
    std::vector<match_entry> own; // of sessions with both kinds: merged without no-local, for what they publish
    std::vector<match_share> shares;
    id_list_ptr ids; // null: none of the entries has any

    void clear() noexcept {
        entries.clear();
        own.clear();
        shares.clear();
        ids.reset();
    }

    /// Null: every matching subscription says no-local.
    const match_entry* own_entry(const session_handle& who) const noexcept {
        const auto at = std::find_if(own.begin(), own.end(), [&](const match_entry& e) { return e.session == who; });
        return at == own.end() ? nullptr : &*at;
    }
};
using match_list_ptr = boost::intrusive_ptr<const match_list>;

class routing_index {
  public:
    routing_index();
    ~routing_index();
    routing_index(const routing_index&) = delete;
    routing_index& operator=(const routing_index&) = delete;

    /// Adds or replaces the subscription of that session to that filter. REQUIRES: a valid filter.
    void subscribe(std::string_view filter, const subscriber& who);
    void unsubscribe(std::string_view filter, const session_handle& who);

    /// The same for shared subscriptions, which count as another kind of subscription to the same filter
    /// (v5[MQTT-4.8.2-3]). The caller keeps the member's state up to date; `now` is where it begins.
    share_member_ptr join(const proto::share& where, const subscriber& who, share_state now);
    void leave(const proto::share& where, const session_handle& who);
    /// Who belongs to it at this moment.
    share_members_ptr members_of(const share_group& group) const;

    match_list_ptr match(std::string_view topic) const;
    /// The same into a list that nobody else has yet, whose memory is used again.
    void match(std::string_view topic, match_list& into) const;
    std::uint64_t version(std::string_view topic) const noexcept;

    std::size_t subscription_count() const noexcept { return count_.load(std::memory_order_relaxed); }

    /// Inner nodes of the trie: none when there are no subscriptions.
    std::size_t node_count() const {
        const std::shared_lock lock(mutex_);
        return nodes_.size() - free_.size() - 2;
    }

  private:
    using node_id = std::uint32_t;
    struct edge {
        node_id parent;
        std::string level;
    };
    /// With the level's hash: of one level several nodes are asked.
    struct edge_view {
        edge_view(node_id from, std::string_view text) noexcept;
        edge_view(node_id from, std::string_view text, std::size_t hash) noexcept
            : parent(from)
            , level(text)
            , level_hash(hash) {}
        node_id parent;
        std::string_view level;
        std::size_t level_hash;
    };
    struct edge_hash {
        using is_transparent = void;
        std::size_t operator()(const edge& e) const noexcept { return (*this)(edge_view{e.parent, e.level}); }
        std::size_t operator()(const edge_view& e) const noexcept;
    };
    struct edge_equal {
        using is_transparent = void;
        template <class A, class B>
        bool operator()(const A& a, const B& b) const noexcept {
            return a.parent == b.parent && std::string_view(a.level) == std::string_view(b.level);
        }
    };
    struct node_shares {
        std::vector<share_group_ptr> here, rest;
    };
    /// '+' is an edge of that name (a topic's level cannot be "+"), '#' is kept as a list of its own.
    /// What match() reads is one cache line: with many filters each node it comes to is a miss.
    struct alignas(64) node {
        std::vector<subscriber> here; // filters that end at this node
        std::vector<subscriber> rest; // filters that go on with '#'
        std::unique_ptr<node_shares> shares;
        node_id plus = 0; // child over '+', 0: none
        node_id parent = 0;
        std::uint32_t children = 0;
        std::string level;
    };

    node_id find_child(const edge_view& e) const;
    node_id make_child(node_id parent, std::string_view level);
    node_id find_or_make(std::string_view filter, bool make, bool& rest);
    void prune(node_id id);
    /// Most topics match few: their lists need no memory of their own.
    template <class T>
    using short_list = boost::container::small_vector<T, 16>;
    struct matches {
        short_list<const subscriber*> plain;
        short_list<share_group*> shared;
    };
    void collect(std::string_view topic, matches& out) const;
    void add_here(const node& n, matches& out) const;
    void add_rest(const node& n, matches& out) const;
    bool remove_member(share_group& group, const session_handle& who);
    void raise_version(std::string_view filter) noexcept;

    static constexpr std::size_t version_count = 256;
    static std::size_t version_slot(std::string_view topic) noexcept;

    mutable std::shared_mutex mutex_; // protects the trie
    std::vector<node> nodes_;
    std::vector<node_id> free_;
    boost::unordered_flat_map<edge, node_id, edge_hash, edge_equal> edges_;

    std::array<std::atomic<std::uint64_t>, version_count> versions_{};
    std::atomic<std::size_t> count_{0};
};

} // namespace fb::core
