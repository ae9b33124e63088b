// What an engine does not hand to the state store while that refuses: changes that nobody waits for, of which the store
// needs to get the last state only. However long it takes, they need no more room than what they are about: a finished
// delivery costs 16 bytes and was larger, a session or a retained topic is here once.
//
// take() says which operations stay here; the engine hands them over when the store writes again, the rows in portions.
// Nothing here was promised to anybody. One shard's thread.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/core/crossing.hpp"
#include "broker/core/persist.hpp"

namespace fb::core {

class put_off {
  public:
    static constexpr std::size_t retained_bytes_max = 8 << 20; // above it a QoS 0 message is retained in memory only

    template <class Operation>
    bool take(const Operation&, bool /*urgent*/) noexcept {
        return false;
    }
    bool take(const persist::delete_session& op, bool) {
        ended_.push_back(op.number);
        return true;
    }
    /// After a crash the delivery begins anew, as it does when the crash comes before a lazy commit.
    bool take(const persist::set_delivery&, bool urgent) noexcept { return !urgent; }
    bool take(const persist::dequeue& op, bool urgent) {
        if (!urgent) rows_.push_back({op.session, op.sequence});
        return !urgent;
    }
    bool take(const persist::put_retained& op, bool urgent) {
        if (!urgent) keep(op);
        return !urgent;
    }
    void session_changed(std::uint32_t slot) { changed_.insert(slot); }

    /// All but the rows, which are forgotten here.
    template <class Session, class Ended, class Retained>
    void give_states(const Session& session, const Ended& ended, const Retained& retained) {
        for (const std::uint32_t slot : std::exchange(changed_, {})) session(slot);
        for (const std::uint64_t number : std::exchange(ended_, {})) ended(persist::delete_session{number});
        for (const auto& [topic, op] : std::exchange(retained_, {})) retained(op);
        retained_bytes_ = 0;
    }
    template <class Row>
    void give_rows(std::size_t count, const Row& row) {
        if (rows_.empty()) return;
        for (; count > 0 && !rows_.empty(); --count) {
            row(persist::dequeue{rows_.back().session, rows_.back().sequence});
            rows_.pop_back();
        }
        if (rows_.empty()) std::vector<stored_row>().swap(rows_);
    }

  private:
    static constexpr std::size_t each = 128;

    void keep(const persist::put_retained& op) {
        if (const auto known = retained_.find(op.message->topic()); known != retained_.end()) {
            if (known->second.version > op.version) return;
            retained_bytes_ -= known->second.message->bytes() + each;
            retained_.erase(known); // with its key, which is of the old message
        }
        const std::size_t bytes = op.message->bytes() + each;
        if (retained_bytes_ + bytes > retained_bytes_max) return;
        retained_bytes_ += bytes;
        retained_.emplace(op.message->topic(), op);
    }

    boost::unordered_flat_set<std::uint32_t> changed_;                            // slots of sessions
    std::vector<std::uint64_t> ended_;                                            // numbers of sessions
    std::vector<stored_row> rows_;                                                // of finished deliveries
    boost::unordered_flat_map<std::string_view, persist::put_retained> retained_; // by topic, a view of the message's
    std::size_t retained_bytes_ = 0;
};

} // namespace fb::core
