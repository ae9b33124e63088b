#include "broker/app/state_records.hpp"

#include <algorithm>
#include <memory>

#include "broker/core/wall_time.hpp"

namespace fb::app {
namespace {

using namespace core;

/// Keeps the message alive for the views of a record.
std::shared_ptr<const void> keep(const message_ptr& m) {
    return {m.get(), [m](const void*) {}};
}

/// Without a credible clock it is what is left, which begins anew at the next start: a message must not be found to
/// have expired decades ago as soon as the clock is right.
storage::unix_ms on_disk(std::int64_t mono_ms, const instant& now) {
    if (mono_ms == never) return 0;
    const std::int64_t left_ms = mono_ms - now.mono_ms;
    if (now.unix_ms >= earliest_credible_unix_ms) return now.unix_ms + left_ms;
    return std::clamp<std::int64_t>(left_ms, 1, earliest_credible_unix_ms - 1);
}

std::int64_t in_memory(storage::unix_ms unix_ms, const instant& now) {
    if (unix_ms == 0) return never;
    const bool is_what_was_left = unix_ms < earliest_credible_unix_ms;
    return now.mono_ms + (is_what_was_left ? unix_ms : unix_ms - now.unix_ms);
}

storage::message_record record_of(const message_ptr& m, storage::unix_ms expires_at) {
    storage::message_record r;
    r.id = m->id();
    r.topic = m->topic();
    r.payload = m->payload();
    r.properties = m->properties();
    r.quality = static_cast<std::uint8_t>(m->quality());
    r.expires_at = expires_at;
    r.publisher = m->publisher();
    r.owner = keep(m);
    return r;
}

/// v5 3.8.3.1.
std::uint8_t options_byte(const proto::subscription_options& o) {
    return static_cast<std::uint8_t>(static_cast<int>(o.maximum_qos) | (o.no_local ? 4 : 0) |
                                     (o.retain_as_published ? 8 : 0) | static_cast<int>(o.retained) << 4);
}

storage::delivery_state state_of(delivery_phase p) {
    switch (p) {
    case delivery_phase::queued: return storage::delivery_state::queued;
    case delivery_phase::sent: return storage::delivery_state::sent;
    case delivery_phase::released: return storage::delivery_state::received;
    }
    return storage::delivery_state::queued;
}

struct converter {
    const instant& now;

    storage::session_operation operator()(const persist::put_session& p) const {
        storage::session_record r;
        r.number = p.number;
        r.client_id = p.client_id;
        r.principal = p.identity;
        r.protocol = static_cast<std::uint8_t>(p.protocol);
        r.expiry_s = p.expiry_s;
        r.ended_at = p.ended_unix_ms;
        if (p.will) { // its expiry is relative until it is published
            r.will = record_of(p.will, p.will->expires_mono_ms() == never ? 0 : p.will->expires_mono_ms());
            r.will_retain = p.will->retain();
            r.will_delay_s = p.will_delay_s;
        }
        return storage::put_session{std::move(r)};
    }
    storage::session_operation operator()(const persist::delete_session& p) const {
        return storage::delete_session{p.number};
    }
    storage::session_operation operator()(const persist::put_subscription& p) const {
        return storage::put_subscription{{p.session, p.filter, options_byte(p.options), p.subscription_id}};
    }
    storage::session_operation operator()(const persist::delete_subscription& p) const {
        return storage::delete_subscription{p.session, p.filter};
    }
    storage::session_operation operator()(const persist::enqueue& p) const {
        storage::queue_record q;
        q.session = p.session;
        q.sequence = p.sequence;
        q.message = p.message->id();
        q.quality = static_cast<std::uint8_t>(p.quality);
        q.retain = p.retain;
        q.packet_id = p.packet_id;
        q.state = state_of(p.phase);
        q.subscription_ids = p.subscription_ids;
        return storage::enqueue{std::move(q), record_of(p.message, on_disk(p.message->expires_mono_ms(), now))};
    }
    storage::session_operation operator()(const persist::set_delivery& p) const {
        return storage::set_delivery{p.session, p.sequence, p.packet_id, state_of(p.phase)};
    }
    storage::session_operation operator()(const persist::dequeue& p) const {
        return storage::dequeue{p.session, p.sequence};
    }
    storage::session_operation operator()(const persist::put_received& p) const {
        return storage::put_received{p.session, p.packet_id};
    }
    storage::session_operation operator()(const persist::delete_received& p) const {
        return storage::delete_received{p.session, p.packet_id};
    }
    storage::session_operation operator()(const persist::put_retained& p) const {
        storage::put_retained r;
        r.version = p.version;
        r.topic = p.message->topic();
        if (!p.message->payload().empty()) r.message = record_of(p.message, on_disk(p.message->expires_mono_ms(), now));
        return r;
    }
};

} // namespace

storage::session_operation to_storage(const persist_operation& op, const instant& now) {
    return std::visit(converter{now}, op);
}

message_ptr to_message(const storage::message_record& m, bool retain, const instant& now, core::message_space* space) {
    message_parts parts;
    parts.topic = m.topic;
    parts.properties = m.properties;
    parts.payload = m.payload;
    parts.quality = static_cast<proto::qos>(m.quality);
    parts.retain = retain;
    parts.expires_mono_ms = in_memory(m.expires_at, now);
    parts.publisher = m.publisher;
    parts.id = m.id;
    return message::make(parts, space);
}

restored_session to_session(const storage::session_record& s) {
    restored_session r;
    r.number = s.number;
    r.client_id = s.client_id;
    r.identity = s.principal;
    r.protocol = static_cast<proto::version>(s.protocol);
    r.expiry_s = s.expiry_s;
    r.ended_unix_ms = s.ended_at;
    if (s.will) {
        message_parts parts;
        parts.topic = s.will->topic;
        parts.properties = s.will->properties;
        parts.payload = s.will->payload;
        parts.quality = static_cast<proto::qos>(s.will->quality);
        parts.retain = s.will_retain;
        parts.expires_mono_ms = s.will->expires_at == 0 ? never : s.will->expires_at;
        parts.publisher = core::publisher_of(s.client_id);
        parts.id = s.will->id;
        r.will = message::make(parts);
        r.will_delay_s = s.will_delay_s;
    }
    return r;
}

subscription to_subscription(const storage::subscription_record& s) {
    subscription sub;
    sub.filter = s.filter;
    sub.options.maximum_qos = static_cast<proto::qos>(s.options & 3);
    sub.options.no_local = (s.options & 4) != 0;
    sub.options.retain_as_published = (s.options & 8) != 0;
    sub.options.retained = static_cast<proto::retain_handling>(s.options >> 4 & 3);
    sub.id = s.subscription_id;
    return sub;
}

delivery to_delivery(const storage::queue_record& q, message_ptr message) {
    delivery d;
    d.message = std::move(message);
    d.sequence = q.sequence;
    d.id = q.packet_id;
    d.quality = static_cast<proto::qos>(q.quality);
    d.retain = q.retain;
    d.phase = q.state == storage::delivery_state::queued ? delivery_phase::queued
              : q.state == storage::delivery_state::sent ? delivery_phase::sent
                                                         : delivery_phase::released;
    if (!q.subscription_ids.empty()) {
        auto ids = boost::intrusive_ptr<id_list>(new id_list);
        ids->ids = q.subscription_ids;
        d.ids = {ids, 0, static_cast<std::uint32_t>(q.subscription_ids.size())};
    }
    return d;
}

} // namespace fb::app
