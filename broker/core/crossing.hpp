// What shards tell each other. A publish crosses to another shard once, however many subscribers it has there.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "broker/core/handles.hpp"
#include "broker/core/message.hpp"
#include "broker/core/persist.hpp"
#include "broker/core/routing_index.hpp"

namespace fb::core {

/// Names one acknowledgement that is owed: session slot + connection epoch + running number, never the packet id, which
/// may be in use again by the time an answer comes. number 0: nobody waits.
struct ack_token {
    session_handle session;
    std::uint64_t epoch = 0;
    std::uint32_t number = 0;
    explicit operator bool() const noexcept { return number != 0; }
    friend bool operator==(const ack_token&, const ack_token&) = default;
};

/// Deliver to the entries of `list` that live on the receiving shard. With a token: answer part_done once what must be
/// kept is committed.
struct routed {
    message_ptr message;
    match_list_ptr list;
    bool live_only = false;
    ack_token token;
    bool own = false;      // sent by the receiving shard itself
    bool together = false; // what must be kept goes into the sender's commit: part_done brings the rows at once
};

/// Where a delivery was stored before it went to another session: its row goes in the commit that has the new one.
struct stored_row {
    std::uint64_t session = 0; // number; 0: nowhere
    std::uint64_t sequence = 0;
};

/// Deliver to one member of a shared subscription, who lives on the receiving shard. One that cannot take it (any more)
/// is passed over, and that shard chooses the next. With a token: whoever has it last answers part_done.
struct share_routed {
    message_ptr message;
    share_group_ptr group;
    share_member_ptr member;
    std::vector<share_member_ptr> passed_over;
    bool live_only = false;
    bool own = false; // sent by the receiving shard itself
    ack_token token;
    stored_row before;
};

struct part_done {
    ack_token token;
    std::uint64_t message = 0; // with routed::together, and what follows
    shard_id from = 0;
    std::vector<persist_operation> rows{};
};

/// The rows of that message, of all shards, are committed: what waits for it may be sent.
struct rows_committed {
    std::uint64_t message = 0;
};

using crossing = std::variant<routed, share_routed, part_done, rows_committed>;

/// The way into the other shards' inboxes, and our own. Must not block: it is used under a stripe of the retained
/// store.
class crossing_port {
  public:
    virtual ~crossing_port() = default;
    /// Arrives in the order sent, at the latest when this turn ends.
    virtual void send(shard_id to, crossing what) = 0;
    /// Everything sent until now has arrived.
    virtual void deliver_sent() = 0;
};

} // namespace fb::core
