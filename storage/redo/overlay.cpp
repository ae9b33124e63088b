#include "storage/redo/overlay.hpp"

#include <algorithm>
#include <utility>

namespace fb::storage::redo {

// --- what the log says ---

void overlay::look_at(const session_operation& operation) {
    std::visit([this](const auto& op) { look(op); }, operation);
}

void overlay::look(const message_record& m) { highest_.message = std::max(highest_.message, m.id); }

void overlay::look(const put_session& op) {
    const auto [owner, first] = owners_.try_emplace(op.row.client_id, op.row.number);
    if (!first && owner->second != op.row.number) look(delete_session{std::exchange(owner->second, op.row.number)});
    sessions_[op.row.number].row = op.row;
    highest_.session = std::max(highest_.session, op.row.number);
    if (op.row.will) look(*op.row.will);
}

void overlay::look(const delete_session& op) {
    session_changes& changes = sessions_[op.number];
    changes = {};
    changes.gone_below = true;
}

void overlay::look(const put_subscription& op) {
    sessions_[op.row.session].subscriptions.insert_or_assign(op.row.filter, op.row);
}

void overlay::look(const delete_subscription& op) {
    sessions_[op.session].subscriptions.insert_or_assign(op.filter, std::nullopt);
}

void overlay::look(const enqueue& op) {
    session_changes& changes = sessions_[op.row.session];
    ++changes.messages;
    changes.waiting.last_sequence = std::max(changes.waiting.last_sequence, op.row.sequence);
    look(op.message);
}

void overlay::look(const put_retained& op) {
    const auto [known, first] = retained_.try_emplace(op.topic, op);
    if (!first && known->second.version <= op.version) known->second = op;
    highest_.retained_version = std::max(highest_.retained_version, op.version);
    look(op.message);
}

// --- what that makes of the database ---

result<session_counters> overlay::load(session_store& below, const session_loader& to) {
    const auto counters = below.load(from_below(to));
    if (!counters) return counters;
    give_sessions(to);
    give_rest(to);
    return session_counters{std::max(counters->session, highest_.session),
                            std::max(counters->message, highest_.message),
                            std::max(counters->retained_version, highest_.retained_version)};
}

/// Gives on what is not replaced; the rest comes afterwards.
session_loader overlay::from_below(const session_loader& to) {
    session_loader from;
    from.on_session = [&](session_record s) {
        if (is_gone(s)) return;
        there_.insert(s.number);
        const session_changes* changes = changes_of(s.number);
        to.on_session(changes != nullptr && changes->row ? *changes->row : std::move(s));
    };
    from.on_subscription = [&](subscription_record s) {
        const session_changes* changes = changes_of(s.session);
        if (there_.contains(s.session) && (changes == nullptr || !changes->subscriptions.contains(s.filter)))
            to.on_subscription(std::move(s));
    };
    from.on_waiting = [&](const waiting_record& w) {
        if (there_.contains(w.session)) add_waiting(w, to);
    };
    from.on_received = [&](std::uint64_t session, std::uint16_t id) {
        const session_changes* changes = changes_of(session);
        if (there_.contains(session) && (changes == nullptr || !changes->received.contains(id)))
            to.on_received(session, id);
    };
    from.on_cleared = [&](std::uint64_t version, std::string_view topic) { is_newer(version, topic); };
    from.on_retained = [&](std::uint64_t version, const message_record& m) {
        if (is_newer(version, m.topic)) to.on_retained(version, m);
    };
    return from;
}

overlay::session_changes* overlay::changes_of(std::uint64_t session) {
    const auto at = sessions_.find(session);
    return at == sessions_.end() ? nullptr : &at->second;
}

/// A session put again under its own number has lost what it had nevertheless: it comes with give_sessions().
bool overlay::is_gone(const session_record& s) {
    const session_changes* changes = changes_of(s.number);
    if (changes != nullptr && changes->gone_below) return true;
    const auto owner = owners_.find(s.client_id);
    return owner != owners_.end() && owner->second != s.number;
}

void overlay::add_waiting(const waiting_record& below, const session_loader& to) {
    session_changes* changes = changes_of(below.session);
    if (changes == nullptr) return to.on_waiting(below);
    changes->waiting.last_sequence = std::max(changes->waiting.last_sequence, below.last_sequence);
    changes->messages += static_cast<std::int64_t>(below.messages);
}

void overlay::give_sessions(const session_loader& to) const {
    for (const auto& [number, changes] : sessions_) {
        if (changes.row && !there_.contains(number)) to.on_session(*changes.row);
    }
}

void overlay::give_rest(const session_loader& to) {
    for (auto& [number, changes] : sessions_) {
        if (!changes.row && !there_.contains(number)) continue;
        for (const auto& [filter, row] : changes.subscriptions) {
            if (row) to.on_subscription(*row);
        }
        for (const auto& [id, kept] : changes.received) {
            if (kept) to.on_received(number, id);
        }
        if (changes.waiting.last_sequence == 0) continue; // nothing was queued, here or there
        changes.waiting.session = number;
        changes.waiting.messages = static_cast<std::uint64_t>(std::max<std::int64_t>(0, changes.messages));
        to.on_waiting(changes.waiting);
    }
    for (const auto& [topic, op] : retained_) {
        if (op.message.id != 0) to.on_retained(op.version, op.message);
    }
}

/// Of what the database has on a topic. The log's word is forgotten where it came late.
bool overlay::is_newer(std::uint64_t version, std::string_view topic) {
    const auto ours = retained_.find(topic);
    if (ours == retained_.end()) return true;
    if (ours->second.version >= version) return false;
    retained_.erase(ours);
    return true;
}

} // namespace fb::storage::redo
