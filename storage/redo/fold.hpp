// What of a segment's operations still matters at its end: a delivery that began and ended in it, a retained message
// that was replaced, the states that a session went through need not be written to the database.
//
// Twice over the same operations in the same order: look_at() each, then needed() of each.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <string>
#include <utility>

#include "storage/session_store.hpp"

namespace fb::storage::redo {

class fold {
  public:
    void look_at(const session_operation& operation);
    bool needed(const session_operation& operation);

  private:
    using position = std::uint32_t; // of an operation, counted from the segment's begin

    struct delivery {
        bool begun = false; // here: the database has no row of it
        bool ended = false;
        position last_set = 0;
    };
    using key = std::pair<std::uint64_t, std::uint64_t>; // session, then sequence or packet id

    void look(const enqueue& op, position here);
    void look(const set_delivery& op, position here);
    void look(const dequeue& op, position here);
    void look(const put_received& op, position here);
    void look(const delete_received& op, position here);
    void look(const put_session& op, position here);
    void look(const put_retained& op, position here);
    template <class Other> // subscriptions, ends of sessions: few
    void look(const Other&, position) {}

    bool asked(const enqueue& op, position here) const;
    bool asked(const set_delivery& op, position here) const;
    bool asked(const dequeue& op, position here) const;
    bool asked(const put_received& op, position here) const;
    bool asked(const delete_received& op, position here) const;
    bool asked(const put_session& op, position here) const;
    bool asked(const put_retained& op, position here) const;
    template <class Other>
    bool asked(const Other&, position) const {
        return true;
    }

    boost::unordered_flat_map<key, delivery> deliveries_;
    boost::unordered_flat_map<key, position> received_;              // the last word on a packet id
    boost::unordered_flat_map<std::uint64_t, position> sessions_;    // the last put_session of each
    boost::unordered_flat_map<std::string, std::uint64_t> retained_; // the highest version of each topic
    position looked_ = 0;
    position asked_ = 0;
};

} // namespace fb::storage::redo
