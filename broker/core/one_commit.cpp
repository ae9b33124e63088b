// A QoS 2 message that other shards have to keep, too: all rows and the record of its packet id go into one commit, the
// publisher's shard's. In two, the process could end between them, and what the publisher sent again would come twice.
//
// The others put the message into their sessions' queues, where it stays, and answer with the rows. When all answers
// are there, everything is committed; then the deliveries are released.
#include <algorithm>
#include <iterator>

#include "broker/core/engine.hpp"

namespace fb::core {
namespace {

/// One of the youngest, mostly.
delivery* find_waiting(session& s, std::uint64_t sequence) {
    if (!s.out) return nullptr;
    const auto end = std::make_reverse_iterator(s.out->waiting.begin());
    const auto at = std::find_if(std::make_reverse_iterator(s.out->waiting.end()), end,
                                 [&](const delivery& d) { return d.sequence == sequence; });
    return at == end ? nullptr : &*at;
}

} // namespace

bool engine::must_be_one_commit(const message& m, const session* from, const ack_token& token, bool live_only) const {
    return config_.shard_count > 1 && token && !live_only && m.quality() == proto::qos::exactly_once &&
           from != nullptr && from->durable() && durability_of(m.topic()) == durability::strict;
}

/// Begins with our own sessions' rows; null: they are reached by a crossing.
void engine::gather(const message_ptr& m, const match_list* own, std::uint16_t answers) {
    gathering g;
    g.missing = answers;
    if (own != nullptr) {
        gather_ = &g.rows;
        deliver_own(m, *own, false, true);
        gather_ = nullptr;
    }
    gathered_.emplace(m->id(), std::move(g));
}

void engine::keep_apart(session& s, delivery& d) {
    d.kept_apart = true;
    gather_->emplace_back(row_of(s, d));
    kept_apart_[d.message->id()].push_back({handle_of(s), {s.number, d.sequence}});
}

void engine::give_rows(const routed& r) {
    part_done answer{r.token, r.message->id(), config_.shard, {}};
    gather_ = &answer.rows;
    deliver_own(r.message, *r.list, false, true);
    gather_ = nullptr;
    crossings_.send(r.token.session.shard, std::move(answer));
}

void engine::rows_arrived(part_done p) {
    const auto at = gathered_.find(p.message);
    if (at == gathered_.end()) return;
    gathering& g = at->second;
    if (!p.rows.empty()) g.shards.push_back(p.from);
    std::move(p.rows.begin(), p.rows.end(), std::back_inserter(g.rows));
    std::uint64_t serial = 0;
    if (--g.missing == 0 && !g.rows.empty()) {
        for (persist_operation& row : g.rows) persist(std::move(row), true);
        g.rows.clear();
        g.serial = serial = pending_persist_.serial;
        gathered_to_commit_.push_back(p.message);
    } else if (g.missing == 0) {
        gathered_.erase(at);
    }
    part_finished(p.token, proto::reason_code::success, {}, serial); // the last one records the packet id
}

void engine::tell_gathered_committed() {
    while (!gathered_to_commit_.empty()) {
        const std::uint64_t message = gathered_to_commit_.front();
        const auto at = gathered_.find(message);
        if (!committed(at->second.serial)) return;
        const std::vector<shard_id> shards = std::move(at->second.shards);
        gathered_.erase(at);
        gathered_to_commit_.pop_front();
        for (const shard_id shard : shards) {
            if (shard != config_.shard) crossings_.send(shard, rows_committed{message});
        }
        release_kept_apart(message);
    }
}

void engine::release_kept_apart(std::uint64_t message) {
    const auto at = kept_apart_.find(message);
    if (at == kept_apart_.end()) return;
    const std::vector<apart> all = std::move(at->second);
    kept_apart_.erase(at);
    for (const apart& a : all) {
        session* s = find(a.session);
        delivery* d = s != nullptr ? find_waiting(*s, a.row.sequence) : nullptr;
        if (d == nullptr) { // its session ended before its row was there
            persist(persist::dequeue{a.row.session, a.row.sequence}, false);
            continue;
        }
        d->kept_apart = false;
        pump(*s);
    }
}

} // namespace fb::core
