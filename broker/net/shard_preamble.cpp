// What a listener may ask for before MQTT begins: a PROXY header, and the HTTP request that starts a WebSocket.
#include <cerrno>
#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include "broker/net/proxy_header.hpp"
#include "broker/net/shard.hpp"

namespace fb::net {

/// Takes the header's bytes off the descriptor and not one more: behind it TLS reads for itself. So it is looked at
/// first; while it is incomplete all that is there belongs to it and can be taken, or the wait would not be one.
void shard::proxy_header_ready(connection& c) {
    const std::span<char> room(read_buffer_.data(), proxy_header_bytes_max - c.partial.size());
    const ssize_t n = ::recv(c.stream.fd(), room.data(), room.size(), MSG_PEEK);
    if (n < 0 && errno != EINTR) c.input_ready = false;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return arm_read(c);
    if (n <= 0) return destroy(c);
    const std::size_t before = c.partial.size();
    c.partial.append(room.data(), static_cast<std::size_t>(n));
    proxy_header h = read_proxy_header(c.partial);
    if (h.what == proxy_header::state::refused) {
        counters_.proxy_refused.add();
        if (may_log()) spdlog::info("{}: closed: its PROXY header is refused: {}", c.info.address, h.why);
        return destroy(c);
    }
    const bool complete = h.what == proxy_header::state::complete;
    const std::size_t taken = complete ? h.size - before : static_cast<std::size_t>(n);
    if (::recv(c.stream.fd(), room.data(), taken, 0) != static_cast<ssize_t>(taken)) return destroy(c);
    if (!complete) return arm_read(c);
    std::string().swap(c.partial);
    if (!h.source.empty()) c.info.address = std::move(h.source);
    begin(c);
}

void shard::upgrade_ready(connection& c) {
    if (peers_.congested()) return held_.push_back({c.slot, c.generation});
    do {
        const std::span<char> room(read_buffer_.data(), upgrade_bytes_max - c.partial.size());
        const tls_result r = read(c, room);
        if (r.status == tls_status::want_read || r.status == tls_status::want_write) return wait_to_read(c, r.status);
        if (r.status != tls_status::ok) return destroy(c);
        const std::size_t seen = c.partial.size();
        c.partial.append(room.data(), r.bytes);
        if (const auto answer = answer_upgrade(c.partial, seen, *c.listener->websocket)) return answered(c, *answer);
    } while (c.stream.has_pending());
    arm_read(c);
}

/// The answer is the first that we say, so there is room for all of it; else the peer will not go on, and time is up
/// for it like for anybody who sends no CONNECT.
void shard::answered(connection& c, const upgrade_answer& answer) {
    const bool refused = !answer.refusal.empty();
    (refused ? counters_.websocket_refused : counters_.websocket_upgrades).add();
    const std::string_view text = answer.response;
    c.stream.write({&text, 1}, record_buffer_);
    if (refused) {
        if (may_log()) spdlog::info("{}: no WebSocket: {}", c.info.address, answer.refusal);
        return finish(c);
    }
    std::string().swap(c.partial);
    c.stream.begin_frames();
    enter(c, stage::first_packet);
    arm_read(c);
}

} // namespace fb::net
