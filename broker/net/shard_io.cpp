// Reading, writing and closing of connections that are open in the engine.
#include <algorithm>
#include <spdlog/spdlog.h>

#include "broker/net/shard.hpp"

namespace fb::net {
namespace {
constexpr std::size_t read_bytes_per_turn_max = 256 * 1024; // of one connection, so that others get their turn
constexpr std::size_t empty_read_bytes = 16 * 1024;         // what a read costs that gives nothing
constexpr std::size_t flushes_per_turn_max = 512;
constexpr int writes_per_flush_max = 16;
constexpr std::int64_t linger_ms = 1000;

constexpr bool has_output(stage s) noexcept { return s == stage::serving || s == stage::closing; }
} // namespace

/// readable() is called when there is something to read: in the next turn if that is known already.
void shard::arm_read(connection& c) {
    if (std::exchange(c.read_armed, true)) return;
    if (c.input_ready) ready_.push_back({c.slot, c.generation});
}

void shard::arm_write(connection& c) {
    c.write_armed = true;
    readiness_.await_room(c.stream.fd(), key_of(c));
}

void shard::writable(connection& c) {
    const std::uint32_t slot = c.slot;
    const std::uint32_t generation = c.generation;
    if (std::exchange(c.read_wants_write, false)) readable(c);
    connection* left = find(slot, generation); // reading may have been the end of it
    if (left != nullptr && has_output(left->at)) flush(*left);
}

void shard::readable(connection& c) {
    if (std::exchange(c.write_wants_read, false)) to_flush_.push_back(c.engine);
    switch (c.at) {
    case stage::free: return;
    case stage::proxy_header: return proxy_header_ready(c);
    case stage::handshaking: return handshake_ready(c);
    case stage::upgrading: return upgrade_ready(c);
    case stage::first_packet: return first_packet_ready(c);
    case stage::serving: return read_some(c);
    case stage::closing: return; // the peer has said all that counts
    case stage::lingering: return discard(c);
    }
}

void shard::read_some(connection& c) {
    std::size_t budget = read_bytes_per_turn_max;
    if (!c.partial.empty() && !engine_.paused(c.engine)) feed(c, {}); // what was left when reading paused
    while (c.at == stage::serving && !engine_.paused(c.engine)) {
        if (peers_.congested()) return held_.push_back({c.slot, c.generation});
        if (budget == 0) return ready_.push_back({c.slot, c.generation});
        const tls_result r = read(c, read_buffer_);
        if (r.status != tls_status::ok) return read_ended(c, r.status);
        budget -= std::min(budget, r.bytes == 0 ? empty_read_bytes : r.bytes);
        if (r.bytes != 0) feed(c, {read_buffer_.data(), r.bytes}); // a ping of WebSocket's is no sign of life to MQTT
        if (c.stream.has_control()) to_flush_.push_back(c.engine);
        if (c.at == stage::serving && !c.input_ready && !c.stream.has_pending() && !engine_.paused(c.engine)) {
            return arm_read(c);
        }
    }
}

tls_result shard::read(connection& c, std::span<char> room) {
    const tls_result r = c.stream.read(room);
    if (c.stream.drained() && !c.input_ended) c.input_ready = false;
    return r;
}

/// Reading goes on when the descriptor is ready, or never.
void shard::read_ended(connection& c, tls_status how) {
    if (how == tls_status::want_read || how == tls_status::want_write) return wait_to_read(c, how);
    const char* broken = c.stream.frame_fault();
    if (broken == nullptr) return c.stream.in_frames() ? linger(c) : transport_lost(c);
    counters_.websocket_broken.add();
    engine_.broken(c.engine, {proto::reason_code::protocol_error, "RFC 6455", broken}, now());
}

void shard::wait_to_read(connection& c, tls_status how) {
    if (how == tls_status::want_read) return arm_read(c);
    c.read_wants_write = true;
    arm_write(c);
}

/// Gives bytes to the engine and keeps what it could not take yet.
void shard::feed(connection& c, std::string_view bytes) {
    if (c.partial.empty()) {
        const std::size_t used = engine_.receive(c.engine, bytes, now());
        if (used < bytes.size()) c.partial.assign(bytes.substr(used));
        return;
    }
    c.partial.append(bytes);
    const std::size_t used = engine_.receive(c.engine, c.partial, now());
    if (used == c.partial.size())
        std::string().swap(c.partial); // an idle connection owns no buffer
    else
        c.partial.erase(0, used);
}

void shard::flush_all() {
    for (std::size_t i = 0; i < flushes_per_turn_max && !to_flush_.empty(); ++i) {
        const core::connection_handle h = to_flush_.front();
        to_flush_.pop_front();
        connection& c = connections_[by_engine_slot_[h.slot]];
        if (has_output(c.at) && c.engine == h) flush(c);
    }
}

void shard::flush(connection& c) {
    std::array<std::string_view, 64> pieces;
    for (int i = 0; i < writes_per_flush_max; ++i) {
        const std::size_t count = engine_.gather(c.engine, pieces);
        if (c.write_armed || c.write_wants_read) return;
        if (count == 0 && !c.stream.has_control()) return all_sent(c);
        const tls_result r = c.stream.write({pieces.data(), count}, record_buffer_);
        if (r.status == tls_status::want_write) return arm_write(c);
        if (r.status == tls_status::want_read) {
            c.write_wants_read = true;
            c.input_ready = false; // OpenSSL has just looked
            return arm_read(c);
        }
        if (r.status != tls_status::ok) return transport_lost(c);
        engine_.written(c.engine, r.bytes, now());
    }
    to_flush_.push_back(c.engine); // others first, the rest in the next turn
}

void shard::all_sent(connection& c) {
    if (c.at == stage::closing) linger(c);
}

void shard::transport_lost(connection& c) {
    const core::connection_handle h = c.engine;
    destroy(c);
    engine_.closed(h, now());
}

/// The engine is done with this connection: what it wrote last is sent, if the peer takes it soon.
void shard::close(const core::close_request& r) {
    connection& c = connections_[by_engine_slot_[r.connection.slot]];
    if (c.at != stage::serving || c.engine != r.connection) return;
    const auto level = r.cause == core::close_cause::client_disconnect || r.cause == core::close_cause::server_stop ||
                               r.cause == core::close_cause::store_refuses // told once, not for each client
                           ? spdlog::level::debug
                           : spdlog::level::info;
    if (spdlog::should_log(level) && may_log()) {
        spdlog::log(level, "{} ({}): {}{}{}", r.client_id.empty() ? "unnamed client" : r.client_id, r.address,
                    core::to_string(r.cause), r.detail.empty() ? "" : ": ", r.detail);
    }
    enter(c, stage::closing);
    linger_deadlines_.push_back({now().mono_ms + linger_ms, c.slot, c.generation, stage::closing});
    flush(c);
}

/// Closing with unread bytes in the socket would reset the connection, and the peer might lose the reason we gave it:
/// so we end our direction and read away the rest for a moment.
void shard::linger(connection& c) {
    const core::connection_handle h = std::exchange(c.engine, {});
    finish(c);
    engine_.closed(h, now());
}

void shard::finish(connection& c) {
    c.stream.finish();
    enter(c, stage::lingering);
    std::string().swap(c.partial);
    linger_deadlines_.push_back({now().mono_ms + linger_ms, c.slot, c.generation, stage::lingering});
    arm_read(c);
}

void shard::discard(connection& c) {
    for (int i = 0; i < 16; ++i) {
        const tls_result r = read(c, read_buffer_);
        if (r.status == tls_status::want_read || r.status == tls_status::want_write) return wait_to_read(c, r.status);
        if (r.status != tls_status::ok) return destroy(c);
    }
    destroy(c); // it goes on sending: enough
}

} // namespace fb::net
