// While the state store fails and too much waits for it: what would have to be stored is refused at once, with words;
// everything else goes on, and what changes without anybody waiting is put off (put_off.hpp).
#include <algorithm>

#include "broker/core/engine.hpp"

namespace fb::core {
namespace {
constexpr std::size_t rows_per_commit = 4096;
} // namespace

void engine::on_store_state(bool refuses, const instant& now) {
    now_ = now;
    if (store_refuses_ == refuses) return;
    store_refuses_ = refuses;
    if (refuses) return;
    const auto hand_over = [this](const auto& op) { persist(op, false); };
    put_off_.give_states(
        [this](std::uint32_t slot) {
            if (const session& s = sessions_[slot]; s.live && s.durable()) persist_session(s, false);
        },
        hand_over, hand_over);
    hand_over_put_off_rows();
}

/// A portion with each commit: there may be millions.
void engine::hand_over_put_off_rows() {
    if (store_refuses_) return;
    put_off_.give_rows(rows_per_commit, [this](const persist::dequeue& op) { persist(op, false); });
}

/// Would its acknowledgement wait for the state store?
bool engine::must_be_stored(const session& from, const proto::publish& p) {
    if (p.quality == proto::qos::at_most_once || durability_of(p.topic) != durability::strict) return false;
    const bool twice = p.quality == proto::qos::exactly_once;
    if (twice && from.in && std::binary_search(from.in->received.begin(), from.in->received.end(), p.id)) {
        return false; // it was accepted before, and its acknowledgement is on its way
    }
    if (p.retain || (twice && from.durable())) return true;
    const match_list_ptr list = cache_.lookup(p.topic);
    const auto stored = [](const match_entry& e) { return e.durable && e.quality != proto::qos::at_most_once; };
    const auto some_stored = [&](const match_share& share) {
        const auto& all = share.members->all;
        return std::any_of(all.begin(), all.end(), [&](const auto& member) { return member->keeps(p.quality); });
    };
    return std::any_of(list->entries.begin(), list->entries.end(), stored) ||
           std::any_of(list->shares.begin(), list->shares.end(), some_stored);
}

/// How a delivery is kept: while the store refuses, only what somebody waits for is stored.
durability engine::kept_as(const message& m, bool live_only, bool awaited) const {
    if (live_only) return durability::none;
    const durability kept = durability_of(m.topic());
    return store_refuses_ && !(awaited && kept == durability::strict) ? durability::none : kept;
}

/// A refusal in an acknowledgement would be the end of the message (v5 4.3.2, 4.3.3); the client is to keep it, and may
/// send it again when it has reconnected (v5[MQTT-4.4.0-1]).
void engine::refuse_to_store(connection& c) {
    counters_.store_refusals.add();
    disconnect(c, proto::reason_code::quota_exceeded, close_cause::store_refuses,
               "the gateway cannot store this now: its disk fails; send it again after reconnecting");
}

/// A session that would have to be stored, or whose end would: then both stay as they are.
bool engine::session_refused(connection& c, const session* known, const proto::connect& p) {
    if (!store_refuses_) return false;
    const bool was_stored = known != nullptr && known->durable();
    const bool goes_on = known != nullptr && !p.clean_start;
    const bool to_store = session_expiry_s(p) != 0;
    if (goes_on ? was_stored || !to_store : !was_stored && !to_store) return false;
    counters_.store_refusals.add();
    shared_.counts.connections.fetch_sub(1, std::memory_order_relaxed);
    refuse_connect(c, &p, proto::reason_code::server_unavailable,
                   "the gateway cannot store sessions now: its disk fails; try again later");
    effects_.closes.back().cause = close_cause::store_refuses;
    return true;
}

} // namespace fb::core
