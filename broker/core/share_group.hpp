// A shared subscription (v5 4.8.2): the sessions that subscribed to one "$share/{name}/{filter}", of which each message
// goes to one.
//
// routing_index owns the groups and replaces a group's member list when somebody joins or leaves; lists that were
// handed out stay as they were. Any thread reads; a member's state is written by the shard its session lives on.
#pragma once

#include <atomic>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "broker/core/handles.hpp"
#include "proto/packets.hpp"

namespace fb::core {

/// Subscription identifiers that go along with deliveries; immutable once shared.
struct id_list : boost::intrusive_ref_counter<id_list, boost::thread_safe_counter> {
    std::vector<std::uint32_t> ids;
};
using id_list_ptr = boost::intrusive_ptr<const id_list>;

/// The better a member can take a message now, the higher.
enum class share_state : std::uint8_t { offline, busy /* messages wait for it */, ready };

struct share_member : boost::intrusive_ref_counter<share_member, boost::thread_safe_counter> {
    session_handle session;
    proto::subscription_options options;
    id_list_ptr ids; // null: none
    bool durable = false;
    std::atomic<share_state> state{share_state::offline};

    /// Would a message of that QoS be kept for it while it is away?
    bool keeps(proto::qos quality) const noexcept {
        return durable && proto::min(quality, options.maximum_qos) != proto::qos::at_most_once;
    }
};
using share_member_ptr = boost::intrusive_ptr<share_member>;

struct share_members : boost::intrusive_ref_counter<share_members, boost::thread_safe_counter> {
    std::vector<share_member_ptr> all;
};
using share_members_ptr = boost::intrusive_ptr<const share_members>;

struct share_group : boost::intrusive_ref_counter<share_group, boost::thread_safe_counter> {
    std::string name;                   // between "$share/" and the filter
    share_members_ptr members;          // guarded by routing_index; never null
    std::atomic<std::uint32_t> turn{0}; // whose turn it is, modulo the number of members
};
using share_group_ptr = boost::intrusive_ptr<share_group>;

} // namespace fb::core
