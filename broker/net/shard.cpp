// The loop: events, inbox, effects, time.
#include "broker/net/shard.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <pthread.h>
#include <spdlog/spdlog.h>
#include <stdexcept>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broker/net/time_now.hpp"

namespace fb::net {
namespace {

constexpr std::size_t inbox_bytes_high = 64 << 20;
constexpr std::size_t outgoing_bytes_max = 1 << 20;
constexpr std::size_t message_bytes = 1024;  // what one counts beside its payload
constexpr std::int64_t stop_grace_ms = 2000; // for peers to take our last words
constexpr std::chrono::milliseconds held_back{5};

} // namespace

shard::shard(const broker_settings& settings, core::engine_config config, core::shared_state shared,
             const broker_hooks& hooks, shard_peers& peers, handshake_pool& pool, address_counts& addresses)
    : settings_(settings)
    , hooks_(hooks)
    , peers_(peers)
    , pool_(pool)
    , addresses_(addresses)
    , config_(config)
    , io_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE)
    , timer_(io_.get_executor())
    , connections_ready_(io_.get_executor(), readiness_.descriptor())
    , wake_fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))
    , wake_(io_.get_executor(), wake_fd_)
    , reserve_fd_(::open("/dev/null", O_RDONLY | O_CLOEXEC))
    , engine_(std::move(config), shared, *this, effects_)
    , inbox_(inbox_bytes_high,
             [fd = wake_fd_] {
                 const std::uint64_t one = 1;
                 [[maybe_unused]] const auto n =
                     ::write(fd, &one, sizeof one); // cannot fail: the counter never gets near its end
             })
    , outgoing_(config_.shard_count)
    , clock_(time_now())
    , peers_running_(config_.shard_count) {
    tick();
}

shard::~shard() {
    join();
    connections_ready_.release();
    if (reserve_fd_ >= 0) ::close(reserve_fd_);
}

void shard::tick() { now_ = time_now(); }

void shard::listen(int fd, const listener_settings& l) {
    listeners_.push_back({descriptor(io_.get_executor(), fd), &l, false});
}

void shard::start() {
    thread_ = std::thread([this] { run(); });
    ::pthread_setname_np(thread_.native_handle(), ("fb-shard-" + std::to_string(config_.shard)).c_str());
}

void shard::post(shard_message m) {
    std::size_t bytes = message_bytes;
    if (const auto* direct = std::get_if<core::direct_delivery>(&m)) bytes += direct->payload.size();
    inbox_.push(std::move(m), bytes);
}

void shard::join() {
    if (thread_.joinable()) thread_.join();
}

void shard::run() {
    arm_wake();
    arm_connections();
    if (config_.shard == 0 && settings_.sys_interval_s != 0) system_due_ms_ = now().mono_ms;
    for (std::size_t i = 0; i < listeners_.size(); ++i) arm_accept(i);
    for (work(); !over(); work()) wait();
}

void shard::arm_wake() {
    wake_.async_wait(descriptor::wait_read, [this](boost::system::error_code e) {
        if (e) return;
        std::uint64_t count = 0;
        [[maybe_unused]] const auto n = ::read(wake_fd_, &count, sizeof count);
        arm_wake();
    });
}

void shard::arm_connections() {
    connections_ready_.async_wait(descriptor::wait_read, [this](boost::system::error_code e) {
        if (e) return;
        tick();
        for (const readiness::event& x : readiness_.ready()) happened(x);
        arm_connections();
    });
}

void shard::happened(const readiness::event& e) {
    const auto slot = static_cast<std::uint32_t>(e.key);
    const auto generation = static_cast<std::uint32_t>(e.key >> 32);
    connection* c = find(slot, generation);
    if (c == nullptr) return;
    c->input_ready |= e.readable;
    c->input_ended |= e.ended;
    if (e.readable && std::exchange(c->read_armed, false)) readable(*c);
    c = find(slot, generation); // reading may have been the end of it
    if (c != nullptr && e.writable && std::exchange(c->write_armed, false)) writable(*c);
}

/// What other shards' clients published before they were sent away (their wills among it) still has to be kept here.
bool shard::over() const {
    if (!stopping_) return false;
    return (connection_count_ == 0 && peers_running_ == 0) || now().mono_ms >= stop_at_ms_;
}

void shard::wait() {
    if (!ready_.empty() || !to_flush_.empty())
        io_.poll_one();
    else if (!inbox_.sleep())
        io_.poll_one();
    else if (held_.empty())
        io_.run_one();
    else
        io_.run_one_for(held_back); // nobody tells us when the others have caught up
}

void shard::work() {
    counters_.turns.add();
    tick();
    drain_inbox();
    std::vector<waiting> again;
    again.swap(ready_);
    if (!held_.empty() && !peers_.congested()) {
        again.insert(again.end(), held_.begin(), held_.end());
        held_.clear();
    }
    for (const waiting& p : again) {
        connection* c = find(p.slot, p.generation);
        if (c == nullptr) continue;
        c->read_armed = false;
        readable(*c);
    }
    act_on_effects();
    deliver_sent(); // the others can begin while we write
    flush_all();
    act_on_effects();
    core::persist_batch batch;
    if (engine_.take_persist(batch)) hooks_.persist(config_.shard, std::move(batch));
    const std::int64_t mono_ms = now().mono_ms;
    if (engine_.next_deadline_ms() <= mono_ms) engine_.on_time(now());
    pass_deadlines(mono_ms);
    if (system_due_ms_ <= mono_ms) publish_system_topics(mono_ms);
    tell_left_out();
    if (config_.shard == 0) tell_clock_jump();
    act_on_effects();
    if (engine_.take_persist(batch)) hooks_.persist(config_.shard, std::move(batch));
    deliver_sent();
    resume_accepting(mono_ms);
    arm_timer();
}

void shard::drain_inbox() {
    inbox_.take(arrived_);
    for (shard_message& m : arrived_) handle(m);
    arrived_.clear();
}

void shard::handle(shard_message& m) {
    if (auto* x = std::get_if<core::crossing>(&m))
        engine_.on_crossed(std::move(*x), now());
    else if (auto* committed = std::get_if<commit_notice>(&m))
        engine_.on_committed(committed->serial, now());
    else if (auto* store = std::get_if<store_notice>(&m))
        engine_.on_store_state(store->refuses, now());
    else if (auto* verdict = std::get_if<local_verdict>(&m))
        engine_.on_local_verdict(verdict->token, verdict->reason, verdict->text, now());
    else if (auto* publish = std::get_if<core::local_publish>(&m))
        engine_.publish_live(*publish, now());
    else if (auto* direct = std::get_if<core::direct_delivery>(&m))
        engine_.deliver(*direct, now());
    else if (auto* answer = std::get_if<auth_answer>(&m))
        engine_.on_auth_verdict(answer->connection, answer->verdict, now());
    else if (auto* step = std::get_if<handshake_step>(&m))
        handshake_done(*step);
    else if (auto* a = std::get_if<arrival>(&m)) {
        if (stopping_) return; // the stream closes with the message
        connection* c = make_connection(std::move(a->stream), std::move(a->address));
        if (c == nullptr) return;
        c->info = std::move(a->info);
        serve(*c, a->bytes);
    } else if (auto* queue = std::get_if<late_queue>(&m))
        engine_.restore_queue(queue->session, std::move(queue->deliveries), now());
    else if (std::holds_alternative<stop_request>(m))
        begin_stop();
    else if (std::holds_alternative<peer_stopped>(m))
        --peers_running_;
}

void shard::send(core::shard_id to, core::crossing what) {
    outgoing_batch& batch = outgoing_[to];
    batch.bytes += message_bytes;
    if (const auto* routed = std::get_if<core::routed>(&what))
        batch.bytes += routed->message->payload().size();
    else if (const auto* share = std::get_if<core::share_routed>(&what))
        batch.bytes += share->message->payload().size();
    batch.messages.emplace_back(std::move(what));
    if (batch.bytes >= outgoing_bytes_max) deliver_sent(to); // or congestion would be noticed late
}

void shard::deliver_sent() {
    for (core::shard_id to = 0; to < config_.shard_count; ++to) deliver_sent(to);
}

void shard::deliver_sent(core::shard_id to) {
    outgoing_batch& batch = outgoing_[to];
    if (!batch.messages.empty()) peers_.post_all(to, batch.messages, std::exchange(batch.bytes, 0));
}

void shard::act_on_effects() {
    while (!effects_.touched.empty() || !effects_.closes.empty() || !effects_.resumed.empty() ||
           !effects_.local.empty() || !effects_.peers.empty() || !effects_.refusals.empty() || !effects_.auth.empty()) {
        hand_out_notices();
        for (core::auth_step& step : effects_.auth) {
            pool_.submit([this, step = std::move(step)] {
                post(auth_answer{step.connection, step.exchange->step(step.data)});
            });
        }
        effects_.auth.clear();
        for (const auto& r : effects_.refusals) {
            if (may_log()) spdlog::warn("{}: PUBLISH to '{}' refused: {}", r.client_id, r.topic, r.why);
        }
        effects_.refusals.clear();
        for (const auto& h : effects_.touched) to_flush_.push_back(h);
        effects_.touched.clear();
        std::vector<core::connection_handle> resumed;
        resumed.swap(effects_.resumed);
        for (const auto& h : resumed) {
            connection& c = connections_[by_engine_slot_[h.slot]];
            if (c.at == stage::serving && c.engine == h) read_some(c);
        }
        std::vector<core::close_request> closes;
        closes.swap(effects_.closes);
        for (const auto& r : closes) close(r);
    }
}

/// The in-process client hears of peers and publications in the order they happened.
void shard::hand_out_notices() {
    auto local = effects_.local.begin();
    auto peer = effects_.peers.begin();
    while (local != effects_.local.end() || peer != effects_.peers.end()) {
        const bool peer_first =
            local == effects_.local.end() || (peer != effects_.peers.end() && peer->order < local->order);
        if (peer_first)
            hooks_.on_peer(std::move(*peer++));
        else
            hooks_.on_local(std::move(*local++));
    }
    effects_.local.clear();
    effects_.peers.clear();
}

void shard::arm_timer() {
    const std::int64_t at =
        std::min({engine_.next_deadline_ms(), next_deadline_ms(), system_due_ms_, stop_at_ms_, log_budget_.due_ms()});
    if (at == timer_at_ms_) return;
    timer_at_ms_ = at;
    if (at == core::never) {
        timer_.cancel();
        return;
    }
    timer_.expires_at(std::chrono::steady_clock::time_point(std::chrono::milliseconds(at)));
    timer_.async_wait([this](boost::system::error_code e) {
        if (!e) timer_at_ms_ = core::never;
    });
}

void shard::tell_left_out() {
    if (const std::uint64_t count = log_budget_.take_left_out(now_.mono_ms); count != 0) {
        spdlog::warn("{} more lines about connections and refused publications were left out", count);
    }
}

void shard::tell_clock_jump() {
    const std::int64_t jump_ms = clock_.jump_ms(now_);
    if (jump_ms == 0) return;
    spdlog::warn("the wall clock went {} by {} s; sessions and messages go by another clock and expire when they would "
                 "have, but those that are still there at the next start {} by as much",
                 jump_ms > 0 ? "forward" : "back", (std::abs(jump_ms) + 500) / 1000, jump_ms > 0 ? "sooner" : "later");
}

void shard::publish_system_topics(std::int64_t mono_ms) {
    system_due_ms_ = mono_ms + settings_.sys_interval_s * 1000ll;
    for (const system_value& v : peers_.system_values(mono_ms)) engine_.publish_system(v.topic, v.payload, now());
}

void shard::begin_stop() {
    stopping_ = true;
    stop_at_ms_ = now().mono_ms + stop_grace_ms;
    for (listener_state& l : listeners_) l.watch.close();
    for (connection& c : connections_) {
        if (is_pending(c.at)) destroy(c);
    }
    engine_.stop(now());
    deliver_sent();
    // Behind everything this shard has sent to the others until now.
    for (core::shard_id i = 0; i < config_.shard_count; ++i) peers_.post(i, peer_stopped{});
}

// --- connections as slots ---

connection* shard::find(std::uint32_t slot, std::uint32_t generation) {
    if (slot >= connections_.size()) return nullptr;
    connection& c = connections_[slot];
    return c.generation == generation && c.at != stage::free ? &c : nullptr;
}

/// Null when the kernel has no room to watch one more descriptor.
connection* shard::make_connection(transport t, address_lease address) {
    std::uint32_t slot;
    if (free_connections_.empty()) {
        slot = static_cast<std::uint32_t>(connections_.size());
        connections_.emplace_back();
    } else {
        slot = free_connections_.back();
        free_connections_.pop_back();
    }
    connection& c = connections_[slot];
    c.slot = slot;
    ++c.generation;
    c.stream = std::move(t);
    c.address = std::move(address);
    ++connection_count_;
    enter(c, stage::first_packet);
    if (readiness_.add(c.stream.fd(), key_of(c))) return &c;
    spdlog::error("a connection was dropped: it cannot be watched: {}", std::generic_category().message(errno));
    destroy(c);
    return nullptr;
}

void shard::enter(connection& c, stage next) {
    pending_count_ -= is_pending(c.at) ? 1 : 0;
    pending_count_ += is_pending(next) ? 1 : 0;
    c.at = next;
}

void shard::destroy(connection& c) {
    enter(c, stage::free);
    if (c.in_pool) --in_pool_; // the pool's answer finds nobody, and the stream ends with it
    const std::uint32_t slot = c.slot;
    const std::uint32_t generation = c.generation;
    c = connection{};
    c.slot = slot;
    c.generation = generation;
    free_connections_.push_back(slot);
    --connection_count_;
}

} // namespace fb::net
