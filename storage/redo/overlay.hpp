// What operations that are still in the log make of a database that does not have them yet: load() gives the first part
// of a start (session_loader::on_waiting) as if they had been applied.
//
// Queues are only counted, so it holds what is small and the newest retained message of each topic.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "storage/session_store.hpp"

namespace fb::storage::redo {

class overlay {
  public:
    /// All of them, in their order. Messages must have an owner.
    void look_at(const session_operation& operation);
    result<session_counters> load(session_store& below, const session_loader& loader);

  private:
    struct session_changes {
        bool gone_below = false; // whatever the database has of it
        std::optional<session_record> row;
        std::map<std::string, std::optional<subscription_record>> subscriptions; // nothing: deleted
        std::map<std::uint16_t, bool> received;                                  // false: deleted
        waiting_record waiting;
        std::int64_t messages = 0; // more, or fewer, than in the database
    };

    void look(const put_session& op);
    void look(const delete_session& op);
    void look(const put_subscription& op);
    void look(const delete_subscription& op);
    void look(const enqueue& op);
    void look(const set_delivery&) {}
    void look(const dequeue& op) { --sessions_[op.session].messages; }
    void look(const put_received& op) { sessions_[op.session].received[op.packet_id] = true; }
    void look(const delete_received& op) { sessions_[op.session].received[op.packet_id] = false; }
    void look(const put_retained& op);
    void look(const message_record& m);

    session_loader from_below(const session_loader& to);
    session_changes* changes_of(std::uint64_t session);
    bool is_gone(const session_record& s);
    void add_waiting(const waiting_record& below, const session_loader& to);
    void give_sessions(const session_loader& to) const;
    void give_rest(const session_loader& to);
    bool is_newer(std::uint64_t version, std::string_view topic);

    boost::unordered_flat_map<std::uint64_t, session_changes> sessions_;
    boost::unordered_flat_map<std::string, std::uint64_t> owners_; // of client ids: the last that was put
    std::map<std::string, put_retained, std::less<>> retained_;
    session_counters highest_;
    boost::unordered_flat_set<std::uint64_t> there_; // sessions given so far
};

} // namespace fb::storage::redo
