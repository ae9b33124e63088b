// One message to one session: queues, the window of packet ids, encoding, redelivery.
#include <algorithm>
#include <cassert>

#include "broker/core/engine.hpp"
#include "proto/rule.hpp"

namespace fb::core {
namespace {

constexpr std::size_t copy_payload_below = 512; // bytes; larger ones are sent from the message itself

/// Message Expiry Interval to send on: what is left, at least a second.
std::uint32_t seconds_left(const message& m, std::int64_t mono_ms) {
    const std::int64_t left = std::max<std::int64_t>(1, (m.expires_mono_ms() - mono_ms + 999) / 1000);
    return rule<"v5[MQTT-3.3.2-6]">(static_cast<std::uint32_t>(left));
}

} // namespace

outgoing& engine::out_of(session& s) {
    if (!s.out) s.out = std::make_unique<outgoing>();
    return *s.out;
}

// --- QoS 0 ---

void engine::deliver_at_most_once(session& s, delivery d) {
    connection* c = connection_of(s);
    if (c == nullptr) return; // not queued for the absent: v5 4.1 leaves it to us
    d.quality = proto::qos::at_most_once;
    const bool busy = (c->output && c->output->size() >= output_bytes_high()) || (s.out && !s.out->backlog.empty());
    if (!busy) return append_publish(*c, d);
    outgoing& o = out_of(s);
    o.backlog_bytes += d.message->bytes();
    o.backlog.push_back(std::move(d));
    while (o.backlog.size() > backlog_messages_max() || o.backlog_bytes > config_.limits.backlog_bytes_max) {
        o.backlog_bytes -= o.backlog.front().message->bytes();
        o.backlog.pop_front(); // the oldest: for a slow reader the newest value counts
        counters_.dropped_slow_reader.add();
    }
    update_share_state(s);
}

// --- QoS 1 and 2 ---

/// Of a session that is away, as soon as memory is short: nobody waits for the absent.
bool engine::queue_full(session& s, const message& m) {
    const limits& l = config_.limits;
    const outgoing& o = out_of(s);
    if (!s.online() && memory_level() >= memory_level::full) return true;
    return o.waiting.size() + o.unread >= l.queued_messages_max || o.waiting_bytes + m.bytes() > l.queued_bytes_max;
}

/// Queues `d`, and starts it when the window is open. True when the publisher must wait for this turn's commit.
bool engine::enqueue(session& s, delivery d, durability kept) {
    if (rule<"v5[MQTT-3.3.2-5]">(d.message->expired(now_.mono_ms))) { // on its way from another shard
        counters_.dropped_expired.add();
        return false;
    }
    outgoing& o = out_of(s);
    if (queue_full(s, *d.message)) { // refuses this session's newest message and disturbs nobody else
        counters_.dropped_queue_full.add();
        return false;
    }
    d.sequence = ++s.last_sequence;
    d.stored = s.durable() && kept != durability::none && !d.live_only;
    const bool strict = d.stored && kept == durability::strict;
    connection* c = connection_of(s);
    const bool gathered = strict && gather_ != nullptr;
    const bool start =
        !gathered && c != nullptr && !c->connack_pending && o.waiting.empty() && window_open(*c, o) && fits(*c, d);
    if (!start) {
        if (gathered)
            keep_apart(s, d);
        else if (d.stored)
            persist(row_of(s, d), strict);
        o.waiting_bytes += d.message->bytes();
        o.waiting.push_back(std::move(d));
        if (c != nullptr && !gathered) pump(s);
        update_share_state(s);
        return strict && !gathered;
    }
    o.inflight_bytes += d.message->bytes();
    start_delivery(*c, s, o.inflight.push_back(std::move(d)), true, strict);
    return strict;
}

bool engine::window_open(const connection& c, const outgoing& o) const {
    if (rule<"v5[MQTT-3.3.4-9]", "v5[MQTT-4.9.0-2]">(o.inflight.size() >= c.send_window)) return false;
    if (o.inflight_bytes >= config_.limits.queued_bytes_max) return false;
    return !c.output || c.output->size() < output_bytes_high();
}

/// Gives the delivery its packet id and sends it, or holds it until its row is committed (QoS 2).
void engine::start_delivery(connection& c, session& s, delivery& d, bool row_is_new, bool urgent) {
    take_packet_id(*s.out, d);
    d.phase = delivery_phase::sent;
    if (d.stored) {
        const bool hold = d.quality == proto::qos::exactly_once && urgent;
        if (row_is_new)
            persist(row_of(s, d), urgent);
        else
            persist(persist::set_delivery{s.number, d.sequence, d.id, d.phase}, hold);
        if (hold) {
            d.held = true;
            d.commit_serial = pending_persist_.serial;
            return wait_for_commit(s);
        }
    }
    if (const std::uint64_t serial = serial_before(s, d); serial != 0) {
        d.held = true;
        d.commit_serial = serial; // on_committed() comes for the one before
        return;
    }
    append_publish(c, d);
}

/// In a session that is not stored any more: the commit that an earlier QoS 2 PUBLISH waits for, since the session was;
/// else 0.
std::uint64_t engine::serial_before(const session& s, const delivery& d) {
    if (s.durable() || d.quality != proto::qos::exactly_once) return 0;
    const auto& inflight = s.out->inflight; // `d` is the last
    const auto waits = std::find_if(inflight.rbegin() + 1, inflight.rend(), [](const delivery& x) {
        return rule<"v5[MQTT-4.6.0-5]", "v5[MQTT-4.6.0-6]", "v311[MQTT-4.6.0-5]", "v311[MQTT-4.6.0-6]">(
            x.held && x.phase == delivery_phase::sent);
    });
    return waits == inflight.rend() ? 0 : waits->commit_serial;
}

persist::enqueue engine::row_of(const session& s, const delivery& d) {
    persist::enqueue row{s.number, d.sequence, d.message, d.quality, d.retain, d.id, d.phase, {}};
    row.subscription_ids.assign(d.ids.data(), d.ids.data() + d.ids.count);
    return row;
}

void engine::drop_row(session& s, const delivery& d) {
    if (d.stored) persist(persist::dequeue{s.number, d.sequence}, false);
}

/// The client has it: the place in the window is free.
void engine::finish(session& s, ring<delivery>::iterator inflight) {
    drop_row(s, *inflight);
    s.out->inflight_bytes -= inflight->message->bytes();
    s.out->inflight.erase(inflight);
    pump(s);
}

/// Moves what waits into the window and the output, as far as both have room.
void engine::pump(session& s) {
    connection* c = connection_of(s);
    if (c == nullptr || !s.out || c->connack_pending || c->phase != connection_phase::connected) return;
    outgoing& o = *s.out;
    while (!o.waiting.empty() && !o.waiting.front().kept_apart && window_open(*c, o)) {
        delivery d = std::move(o.waiting.front());
        o.waiting.pop_front();
        o.waiting_bytes -= d.message->bytes();
        const bool begun = d.phase != delivery_phase::queued;
        if (rule<"v5[MQTT-3.3.2-5]", "v5[MQTT-4.3.3-7]">(!begun && d.message->expired(now_.mono_ms))) {
            counters_.dropped_expired.add();
            drop_row(s, d);
            continue;
        }
        if (rule<"v5[MQTT-3.1.2-24]", "v5[MQTT-3.1.2-25]">(!fits(*c, d))) { // as if it had been sent
            counters_.dropped_too_large.add();
            drop_row(s, d);
            continue;
        }
        o.inflight_bytes += d.message->bytes();
        delivery& next = o.inflight.push_back(std::move(d));
        next.held = next.held && !committed(next.commit_serial);
        if (begun && !next.held)
            append_publish(*c, next); // sent on an earlier connection
        else if (!begun)
            start_delivery(*c, s, next, false, durability_of(next.message->topic()) == durability::strict);
    }
    while (!o.backlog.empty() && (!c->output || c->output->size() < output_bytes_high())) {
        delivery d = std::move(o.backlog.front());
        o.backlog.pop_front();
        o.backlog_bytes -= d.message->bytes();
        append_publish(*c, d);
    }
    if (!o.replays.empty() && !o.replaying) replay_retained(*c, s);
    update_share_state(s);
}

/// Ids go round; only when the oldest in flight is as old as a whole round can a new one collide.
void engine::take_packet_id(outgoing& o, delivery& d) {
    const auto taken = [&](proto::packet_id id) {
        return std::any_of(o.inflight.begin(), o.inflight.end(),
                           [&](const delivery& x) { return &x != &d && x.id == id; });
    };
    const auto advance = [&] { o.next_id = o.next_id == 65535 ? 1 : static_cast<proto::packet_id>(o.next_id + 1); };
    d.send_number = o.sends++;
    if (!o.inflight.empty() && d.send_number - o.inflight.front().send_number > 60'000) {
        while (rule<"v5[MQTT-2.2.1-4]", "v5[MQTT-4.3.2-1]", "v5[MQTT-4.3.3-1]", "v311[MQTT-2.3.1-4]">(taken(o.next_id)))
            advance();
    }
    d.id = rule<"v5[MQTT-2.2.1-4]", "v5[MQTT-4.3.2-1]", "v5[MQTT-4.3.3-1]", "v311[MQTT-2.3.1-4]", "v311[MQTT-4.3.2-1]",
                "v311[MQTT-4.3.3-1]">(o.next_id);
    advance();
}

/// After a resumed connection: what was in flight, in its order, with its ids (as v5[MQTT-4.6.0-1] asks of clients).
/// What the new Receive Maximum has no room for goes back to the front of the queue and keeps its id; pump() sends it
/// before anything new.
void engine::redeliver(connection& c, session& s) {
    if (!s.out) return;
    outgoing& o = *s.out;
    ring<delivery> before;
    before.swap(o.inflight);
    o.inflight_bytes = 0;
    std::vector<delivery> later;
    for (delivery& d : before) {
        const bool is_publish = d.phase == delivery_phase::sent; // or is to be, when its commit comes
        if (rule<"v5[MQTT-3.1.2-25]">(is_publish && !fits(c, d))) {
            counters_.dropped_too_large.add();
            drop_row(s, d);
        } else if (rule<"v5[MQTT-3.3.4-9]">(is_publish && o.inflight.size() >= c.send_window)) {
            later.push_back(std::move(d));
        } else {
            o.inflight_bytes += d.message->bytes();
            delivery& kept = o.inflight.push_back(std::move(d));
            if (kept.held) continue; // release_held() sends it when its commit comes
            if (rule<"v5[MQTT-4.4.0-1]", "v5[MQTT-4.3.3-6]", "v311[MQTT-2.3.1-3]", "v311[MQTT-4.4.0-1]">(
                    kept.phase == delivery_phase::released))
                send_pubrel(c, kept.id);
            else
                append_publish(c, kept);
        }
    }
    for (auto d = later.rbegin(); d != later.rend(); ++d) {
        o.waiting_bytes += d->message->bytes();
        o.waiting.push_front(std::move(*d));
    }
}

void engine::release_held(session& s) {
    if (!s.out) return;
    connection* c = connection_of(s);
    for (delivery& d : s.out->inflight) {
        if (!d.held || !committed(d.commit_serial)) continue;
        d.held = false;
        if (c == nullptr || c->connack_pending) continue; // redeliver() will
        if (d.phase == delivery_phase::released)
            send_pubrel(*c, d.id);
        else
            append_publish(*c, d);
    }
}

void engine::send_pubrel(connection& c, proto::packet_id id) {
    proto::pubrel p;
    p.id = id;
    proto::encode(p, c.protocol, out(c), c.packet_bytes_max);
}

// --- encoding ---

proto::publish_head engine::head_of(const delivery& d) const {
    const message& m = *d.message;
    proto::publish_head h;
    h.topic = m.topic();
    h.quality = d.quality;
    h.retain = d.retain;
    h.dup = rule<"v5[MQTT-3.3.1-1]", "v5[MQTT-3.3.1-2]", "v5[MQTT-3.3.1-3]", "v5[MQTT-4.3.1-1]", "v5[MQTT-4.3.2-2]",
                 "v5[MQTT-4.3.3-2]", "v311[MQTT-3.3.1-1]", "v311[MQTT-3.3.1-2]", "v311[MQTT-3.3.1-3]",
                 "v311[MQTT-4.3.1-1]", "v311[MQTT-4.3.2-1]", "v311[MQTT-4.3.3-1]">(d.attempted);
    h.id = d.quality == proto::qos::at_most_once ? proto::packet_id{0} : d.id;
    if (m.expires_mono_ms() != never) {
        h.has_expiry = true;
        h.message_expiry_s = seconds_left(m, now_.mono_ms);
    }
    h.subscription_ids = d.ids.data();
    h.subscription_id_count = d.ids.count;
    h.forward_block = m.properties();
    h.payload_size = m.payload().size();
    return h;
}

bool engine::fits(const connection& c, const delivery& d) const {
    return c.protocol != proto::version::v5 || proto::publish_size(head_of(d), c.protocol) <= c.packet_bytes_max;
}

/// Puts one PUBLISH into the connection's output. Subscribers of the same kind share the encoding.
void engine::append_publish(connection& c, delivery& d) {
    const bool unsent = d.quality == proto::qos::at_most_once;
    if (rule<"v5[MQTT-3.3.2-5]", "v5[MQTT-4.3.3-7]">(unsent && d.message->expired(now_.mono_ms))) {
        counters_.dropped_expired.add();
        return;
    }
    const bool own_words = c.aliases_out || d.ids.count != 0 || d.attempted;
    if (own_words) {
        append_own_publish(c, d);
    } else {
        shared_encodings::one& e = shared_encoding(c, d);
        if (rule<"v5[MQTT-3.1.2-24]">(e.packet_bytes > c.packet_bytes_max)) {
            counters_.dropped_too_large.add();
            return;
        }
        counters_.publishes_sent.add();
        output_buffer& b = buffer(c);
        const std::size_t at = b.text().size();
        b.text() += e.bytes;
        if (e.id_at != 0) {
            b.text()[at] = static_cast<char>(0x30 | (d.retain ? 1 : 0) | static_cast<int>(d.quality) << 1);
            b.text()[at + e.id_at] = static_cast<char>(d.id >> 8);
            b.text()[at + e.id_at + 1] = static_cast<char>(d.id & 0xFF);
        }
        if (!e.payload_inside) b.append_payload(d.message);
    }
    d.attempted = d.quality != proto::qos::at_most_once;
}

void engine::append_own_publish(connection& c, delivery& d) {
    proto::publish_head h = head_of(d);
    if (c.aliases_out) {
        const auto use = c.aliases_out->lookup(d.message->topic());
        h.topic_alias = use.alias;
        if (use.known) h.topic = {}; // v5 3.3.2.3.4
        if (rule<"v5[MQTT-3.1.2-24]">(proto::publish_size(h, c.protocol) >
                                      c.packet_bytes_max)) { // without, or not at all
            h.topic_alias = 0;
            h.topic = d.message->topic();
        }
    }
    // Only QoS 0: others were tried before.
    if (rule<"v5[MQTT-3.1.2-24]">(proto::publish_size(h, c.protocol) > c.packet_bytes_max)) {
        counters_.dropped_too_large.add();
        return;
    }
    counters_.publishes_sent.add();
    if (h.topic_alias != 0 && !h.topic.empty()) c.aliases_out->announce(h.topic, h.topic_alias);
    output_buffer& b = buffer(c);
    proto::append_publish_head(h, c.protocol, b.text());
    if (h.payload_size < copy_payload_below)
        b.text() += d.message->payload();
    else
        b.append_payload(d.message);
}

engine::shared_encodings::one& engine::shared_encoding(const connection& c, const delivery& d) {
    if (encodings_.of != d.message ||
        encodings_.made_at_ms != now_.mono_ms) { // the expiry to send on changes with time
        for (auto& e : encodings_.by_kind) e.made = false;
        encodings_.of = d.message;
        encodings_.made_at_ms = now_.mono_ms;
    }
    const bool v5 = c.protocol == proto::version::v5;
    const bool has_id = d.quality != proto::qos::at_most_once;
    auto& e = encodings_.by_kind[(v5 ? 4 : 0) + (has_id ? 2 : 0) + (d.retain ? 1 : 0)];
    if (e.made) return e;
    e.made = true;
    e.bytes.clear();
    const proto::publish_head h = head_of(d);
    e.id_at = proto::append_publish_head(h, c.protocol, e.bytes);
    e.packet_bytes = e.bytes.size() + h.payload_size;
    e.payload_inside = h.payload_size < copy_payload_below;
    if (e.payload_inside) e.bytes += d.message->payload();
    return e;
}

} // namespace fb::core
