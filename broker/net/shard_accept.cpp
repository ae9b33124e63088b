// From accept to the first packet: TLS handshake (in the pool), who the peer is, and which shard it belongs to.
#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/net/listen_socket.hpp"
#include "broker/net/shard.hpp"
#include "certs/identity.hpp"
#include "proto/frame.hpp"

namespace fb::net {
namespace {
constexpr int accepts_per_event_max = 64;
constexpr int reads_per_turn_max = 16;
constexpr std::int64_t pending_grace_ms = 1000; // nobody is dropped for others before
constexpr std::int64_t starved_pause_ms = 100;  // the kernel has nothing to give: do not spin
constexpr std::int64_t warning_interval_ms = 1000;
} // namespace

void shard::arm_accept(std::size_t listener_no) {
    listeners_[listener_no].armed = true;
    listeners_[listener_no].watch.async_wait(descriptor::wait_read, [this, listener_no](boost::system::error_code e) {
        if (e || stopping_) return;
        listeners_[listener_no].armed = false;
        tick();
        accept_ready(listener_no);
    });
}

void shard::accept_ready(std::size_t listener_no) {
    listener_state& l = listeners_[listener_no];
    const int listening = l.watch.native_handle();
    for (int i = 0; i < accepts_per_event_max; ++i) {
        if (!room_for_caller(now().mono_ms)) { // the backlog holds the others
            accepting_paused_ = true;
            return;
        }
        const int fd = ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            adopt(fd, *l.settings);
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) break;
        const bool starved = errno == EMFILE || errno == ENFILE;
        if (starved ? refuse_one(listening) : errno != ENOMEM && errno != ENOBUFS)
            continue; // one peer that is gone already
        accept_again_ms_ = now().mono_ms + starved_pause_ms;
    }
    arm_accept(listener_no);
}

/// Out of descriptors: closes one caller instead of spinning on a backlog that cannot be taken. False: not even that.
bool shard::refuse_one(int listening) {
    counters_.accept_no_descriptors.add();
    if (const std::int64_t at = now().mono_ms; at >= next_warning_ms_) {
        next_warning_ms_ = at + warning_interval_ms;
        spdlog::warn(
            "out of file descriptors: connections are refused; raise the limit (LimitNOFILE) or lower connections_max");
    }
    if (reserve_fd_ < 0) reserve_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (reserve_fd_ < 0) return false;
    ::close(reserve_fd_);
    const int fd = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) ::close(fd);
    reserve_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

void shard::resume_accepting(std::int64_t mono_ms) {
    if (!accepting_paused_ || stopping_ || !room_for_caller(mono_ms)) return;
    accepting_paused_ = false;
    for (std::size_t i = 0; i < listeners_.size(); ++i) {
        if (!listeners_[i].armed) arm_accept(i);
    }
}

bool shard::room_for_caller(std::int64_t mono_ms) {
    if (mono_ms < accept_again_ms_ || in_pool_ >= settings_.handshakes_max) return false;
    if (pending_count_ < settings_.pending_max) return true;
    connection* oldest = oldest_pending();
    if (oldest == nullptr || oldest->in_pool ||
        connect_deadlines_.front().at_ms - connect_timeout_ms() + pending_grace_ms > mono_ms) {
        return false;
    }
    counters_.pending_dropped.add();
    spdlog::debug("{}: closed: no CONNECT yet, and others wait", oldest->info.address);
    destroy(*oldest);
    return true;
}

/// The front of connect_deadlines_, once those who have connected since are gone from there.
connection* shard::oldest_pending() {
    for (; !connect_deadlines_.empty(); connect_deadlines_.pop_front()) {
        connection* c = find(connect_deadlines_.front().slot, connect_deadlines_.front().generation);
        if (c != nullptr && is_pending(c->at)) return c;
    }
    return nullptr;
}

/// When to look again whether there is room, if nothing else happens before.
std::int64_t shard::next_accept_ms() {
    if (!accepting_paused_ || stopping_) return core::never;
    const connection* oldest = oldest_pending();
    if (oldest == nullptr) return accept_again_ms_;
    if (in_pool_ >= settings_.handshakes_max || oldest->in_pool) return core::never; // the pool's answer wakes us
    if (pending_count_ < settings_.pending_max) return accept_again_ms_;
    return std::max(accept_again_ms_, connect_deadlines_.front().at_ms - connect_timeout_ms() + pending_grace_ms);
}

void shard::adopt(int fd, const listener_settings& l) {
    counters_.accepted.add();
    const int on = 1; // not known to Unix sockets
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection* made = make_connection(transport(fd), {});
    if (made == nullptr) return;
    connection& c = *made;
    c.listener = &l;
    c.info.address = peer_address(fd);
    connect_deadlines_.push_back({now().mono_ms + connect_timeout_ms(), c.slot, c.generation, c.at});
    if (!l.proxy_protocol) return begin(c);
    const auto holds = [&](const network_prefix& n) { return n.contains(c.info.address); };
    if (!l.proxy_from.empty() && std::none_of(l.proxy_from.begin(), l.proxy_from.end(), holds)) {
        counters_.proxy_refused.add();
        if (may_log())
            spdlog::warn("{}: closed: it is none of the proxies of this listener (proxy_from)", c.info.address);
        return destroy(c);
    }
    enter(c, stage::proxy_header);
    arm_read(c);
}

/// The peer's address is known: TLS comes next, or what TLS would carry.
void shard::begin(connection& c) {
    if (!admit(c)) return destroy(c);
    if (!c.listener->tls) {
        secured(c);
        return arm_read(c);
    }
    certs::ssl_ptr ssl = c.listener->tls->new_session(c.stream.fd());
    if (!ssl) return destroy(c); // out of memory: this peer has to try again
    c.stream.begin_tls(tls_session(std::move(ssl)));
    enter(c, stage::handshaking);
    arm_read(c);
}

/// Counts the connection for its address. False: that holds as many as it may.
bool shard::admit(connection& c) {
    auto lease = addresses_.enter(c.info.address);
    if (lease) {
        c.address = std::move(*lease);
        return true;
    }
    counters_.address_refused.add();
    const std::int64_t at = now().mono_ms;
    if (at < next_warning_ms_) return false;
    next_warning_ms_ = at + warning_interval_ms;
    spdlog::warn("{}: refused: it holds {} connections already (connections_per_address_max)", c.info.address,
                 config_.limits.connections_per_address_max);
    return false;
}

void shard::handshake_ready(connection& c) {
    if (c.in_pool) return;
    c.in_pool = true;
    c.input_ready = false; // the pool reads until there is nothing; what comes meanwhile is an event
    counters_.tls_steps.add();
    ++in_pool_;
    pool_.submit(std::move(c.stream), [this, slot = c.slot, generation = c.generation](transport t, tls_result result) {
        post(handshake_step{slot, generation, std::move(t), result});
    });
}

void shard::handshake_done(handshake_step& step) {
    connection* c = find(step.slot, step.generation);
    if (c == nullptr) return; // timed out meanwhile; the stream closes with the message
    c->in_pool = false;
    --in_pool_;
    c->stream = std::move(step.stream);
    switch (step.result.status) {
    case tls_status::want_read: return arm_read(*c);
    case tls_status::want_write: c->read_wants_write = true; return arm_write(*c);
    case tls_status::ok: break;
    case tls_status::closed:
    case tls_status::failed:
        counters_.tls_failed.add();
        if (may_log()) {
            const std::string& why = c->stream.tls().error_text();
            spdlog::info("{}: TLS handshake failed: {}", c->info.address, why.empty() ? "connection closed" : why);
        }
        return destroy(*c);
    }
    counters_.tls_handshakes.add();
    if (c->stream.tls().resumed()) counters_.tls_resumed.add();
    if (!secured(*c)) return destroy(*c);
    if (c->stream.has_pending())
        readable(*c);
    else
        arm_read(*c);
}

/// Now it can be known who the peer is. False: its certificate names no device.
bool shard::secured(connection& c) {
    enter(c, c.listener->websocket ? stage::upgrading : stage::first_packet);
    return identify(c);
}

/// Fixes the principal for the life of the connection. False: the certificate names no device.
bool shard::identify(connection& c) {
    static const auto anonymous = [] {
        auto p = std::make_shared<core::principal>();
        p->name = "anonymous";
        return core::principal_ptr(std::move(p));
    }();
    c.info.who = anonymous;
    c.info.identity_from_client_id = c.listener->identity_from_client_id;
    c.info.refuse_all = !c.listener->allow_anonymous;
    X509* certificate = c.stream.secure() ? c.stream.tls().peer_certificate() : nullptr;
    if (certificate == nullptr) return true;
    const auto id = certs::identity_of(certificate);
    if (!id) {
        counters_.tls_failed.add();
        if (may_log()) {
            spdlog::warn("{}: the client certificate names no device: neither SAN nor CN is a valid device id",
                         c.info.address);
        }
        return false;
    }
    auto p = std::make_shared<core::principal>();
    p->kind = core::principal_kind::certificate;
    p->name = id->device_id;
    p->device_id = id->device_id;
    p->fingerprint = id->fingerprint;
    c.info.who = std::move(p);
    c.info.identity_from_client_id = false;
    c.info.refuse_all = false;
    return true;
}

void shard::first_packet_ready(connection& c) {
    if (peers_.congested()) return held_.push_back({c.slot, c.generation});
    for (int i = 0; i < reads_per_turn_max; ++i) {
        const tls_result r = read(c, read_buffer_);
        if (r.status == tls_status::want_read || r.status == tls_status::want_write) return wait_to_read(c, r.status);
        if (r.status != tls_status::ok) return gone_early(c);
        c.partial.append(read_buffer_.data(), r.bytes);
        const auto f = proto::next_frame(c.partial, config_.limits.connect_packet_bytes_max);
        const bool goes_on = f && !f->complete() && (c.partial.empty() || f->type == proto::packet_type::connect);
        if (!goes_on) return place(c, std::exchange(c.partial, {}));
        if (!c.stream.has_pending()) return arm_read(c);
    }
    ready_.push_back({c.slot, c.generation});
}

void shard::gone_early(connection& c) {
    if (!c.stream.in_frames()) return destroy(c);
    if (const char* broken = c.stream.frame_fault()) {
        counters_.websocket_broken.add();
        if (may_log()) spdlog::info("{}: closed before CONNECT: {}", c.info.address, broken);
    }
    finish(c); // a WebSocket's Close is answered and waited for
}

/// The first packet is here, or cannot become one: serve it here or hand it to its home shard.
void shard::place(connection& c, std::string bytes) {
    const auto f = proto::next_frame(bytes, config_.limits.connect_packet_bytes_max);
    const core::shard_id home = f && config_.shard_count > 1
                                    ? core::route_connect(*f, config_.shard_count).value_or(config_.shard)
                                    : config_.shard;
    if (home == config_.shard) return serve(c, bytes);
    counters_.moved.add();
    readiness_.remove(c.stream.fd());
    arrival a{std::move(c.stream), std::move(c.address), std::move(c.info), std::move(bytes)};
    destroy(c);
    peers_.post(home, std::move(a));
}

void shard::serve(connection& c, std::string_view bytes) {
    enter(c, stage::serving);
    c.engine = engine_.open(std::move(c.info), now());
    c.info = {};
    if (by_engine_slot_.size() <= c.engine.slot) by_engine_slot_.resize(c.engine.slot + 1);
    by_engine_slot_[c.engine.slot] = c.slot;
    feed(c, bytes);
    if (c.at == stage::serving) read_some(c);
}

void shard::pass_deadlines(std::int64_t mono_ms) {
    while (!connect_deadlines_.empty() && connect_deadlines_.front().at_ms <= mono_ms) {
        const deadline d = connect_deadlines_.front();
        connect_deadlines_.pop_front();
        connection* c = find(d.slot, d.generation);
        if (c == nullptr || !is_pending(c->at)) continue;
        if (may_log()) {
            spdlog::info("{}: closed: no complete CONNECT within {} s", c->info.address,
                         config_.limits.connect_timeout_s);
        }
        destroy(*c);
    }
    while (!linger_deadlines_.empty() && linger_deadlines_.front().at_ms <= mono_ms) {
        const deadline d = linger_deadlines_.front();
        linger_deadlines_.pop_front();
        connection* c = find(d.slot, d.generation);
        if (c == nullptr || c->at != d.applies_to) continue;
        if (c->at == stage::closing)
            transport_lost(*c);
        else
            destroy(*c);
    }
}

std::int64_t shard::next_deadline_ms() {
    std::int64_t at = next_accept_ms();
    if (!connect_deadlines_.empty()) at = std::min(at, connect_deadlines_.front().at_ms);
    if (!linger_deadlines_.empty()) at = std::min(at, linger_deadlines_.front().at_ms);
    return at;
}

} // namespace fb::net
