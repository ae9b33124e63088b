#include "storage/redo/fold.hpp"

#include <algorithm>

namespace fb::storage::redo {

void fold::look_at(const session_operation& operation) {
    std::visit([&](const auto& op) { look(op, looked_); }, operation);
    ++looked_;
}

bool fold::needed(const session_operation& operation) {
    const position here = asked_++;
    return std::visit([&](const auto& op) { return asked(op, here); }, operation);
}

void fold::look(const enqueue& op, position) { deliveries_[{op.row.session, op.row.sequence}].begun = true; }
void fold::look(const set_delivery& op, position here) { deliveries_[{op.session, op.sequence}].last_set = here; }
void fold::look(const dequeue& op, position) { deliveries_[{op.session, op.sequence}].ended = true; }
void fold::look(const put_received& op, position here) { received_[{op.session, op.packet_id}] = here; }
void fold::look(const delete_received& op, position here) { received_[{op.session, op.packet_id}] = here; }
void fold::look(const put_session& op, position here) { sessions_[op.row.number] = here; }
void fold::look(const put_retained& op, position) {
    std::uint64_t& highest = retained_[op.topic];
    highest = std::max(highest, op.version);
}

bool fold::asked(const enqueue& op, position) const { return !deliveries_.at({op.row.session, op.row.sequence}).ended; }
bool fold::asked(const set_delivery& op, position here) const {
    const delivery& d = deliveries_.at({op.session, op.sequence});
    return !d.ended && d.last_set == here;
}
bool fold::asked(const dequeue& op, position) const { return !deliveries_.at({op.session, op.sequence}).begun; }
bool fold::asked(const put_received& op, position here) const {
    return received_.at({op.session, op.packet_id}) == here;
}
bool fold::asked(const delete_received& op, position here) const {
    return received_.at({op.session, op.packet_id}) == here;
}
bool fold::asked(const put_session& op, position here) const { return sessions_.at(op.row.number) == here; }
bool fold::asked(const put_retained& op, position) const { return retained_.at(op.topic) == op.version; }

} // namespace fb::storage::redo
