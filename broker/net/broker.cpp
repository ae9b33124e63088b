#include "broker/net/broker.hpp"

#include <algorithm>
#include <csignal>
#include <random>
#include <unistd.h>

#include "broker/net/listen_socket.hpp"
#include "broker/net/time_now.hpp"

namespace fb::net {
namespace {

std::string url_of(const listener_settings& l) {
    if (!l.unix_path.empty()) return "unix://" + l.unix_path;
    const std::string host = l.host.find(':') == std::string::npos ? l.host : "[" + l.host + "]";
    const std::string scheme = l.websocket ? "ws" : "mqtt";
    return scheme + (l.tls ? "s" : "") + "://" + host + ":" + std::to_string(l.port) +
           (l.websocket ? l.websocket->path : "");
}

} // namespace

broker::broker(broker_settings settings, broker_hooks hooks)
    : settings_(std::move(settings))
    , hooks_(std::move(hooks))
    , retained_(settings_.engine.limits.retained_messages_max, settings_.engine.limits.retained_bytes_max)
    , addresses_(settings_.engine.limits.connections_per_address_max) {
    for (const std::string& filter : settings_.local_filters) {
        index_.subscribe(filter, core::engine::local_subscriber(proto::qos::exactly_once));
    }
}

broker::~broker() { stop(); }

void broker::bind() {
    std::signal(SIGPIPE, SIG_IGN);
    const core::shard_id count = settings_.engine.shard_count;
    pool_ = std::make_unique<handshake_pool>(settings_.handshake_threads);
    std::random_device random;
    for (core::shard_id i = 0; i < count; ++i) {
        core::engine_config config = settings_.engine;
        config.shard = i;
        config.seed = (std::uint64_t{random()} << 32) | random();
        shards_.push_back(std::make_unique<shard>(settings_, std::move(config),
                                                  core::shared_state{index_, retained_, counts_}, hooks_,
                                                  static_cast<shard_peers&>(*this), *pool_, addresses_));
    }
    for (listener_settings& l : settings_.listeners) bind(l);
}

void broker::bind(listener_settings& l) {
    if (l.unix_path.empty()) {
        for (auto& s : shards_) s->listen(open_listener(l.host, l.port, s == shards_.front()), l);
        return;
    }
    // SO_REUSEPORT is not for Unix sockets: one shard accepts, and CONNECT takes clients home from there.
    unix_listener opened = open_unix_listener(l.unix_path, l.unix_mode);
    socket_files_.push_back(std::move(opened.file));
    shards_.front()->listen(opened.fd, l);
}

void broker::number_from(std::uint64_t first_session, std::uint64_t first_message) noexcept {
    for (auto& s : shards_) s->engine().number_from(first_session, first_message);
}

core::session_handle broker::restore(core::restored_session s) {
    const core::shard_id home = core::home_shard(s.client_id, settings_.engine.shard_count);
    return shards_[home]->engine().restore(std::move(s), time_now());
}

void broker::restore_retained(const core::message_ptr& m, std::uint64_t version) { retained_.restore(m, version); }

void broker::start() {
    for (auto& s : shards_) s->start();
}

void broker::post(core::shard_id to, shard_message m) { shards_[to]->post(std::move(m)); }

void broker::post_all(core::shard_id to, std::vector<shard_message>& batch, std::size_t bytes) {
    shards_[to]->post_all(batch, bytes);
}

bool broker::congested() const {
    if (hooks_.behind && hooks_.behind()) return true;
    return std::any_of(shards_.begin(), shards_.end(), [](const auto& s) { return s->congested(); });
}

void broker::committed(core::shard_id shard, std::uint64_t serial) { post(shard, commit_notice{serial}); }

void broker::store_state(bool refuses) {
    for (auto& s : shards_) s->post(store_notice{refuses});
}

void broker::verdict(const core::ack_token& token, proto::reason_code reason, std::string text) {
    post(token.session.shard, local_verdict{token, reason, std::move(text)});
}

void broker::publish_live(core::local_publish p) { post(0, std::move(p)); }

void broker::deliver(core::direct_delivery d) {
    const core::shard_id home = d.to.shard;
    if (home < shards_.size()) post(home, std::move(d));
}

void broker::restore_queue(const core::session_handle& s, std::vector<core::delivery> queue) {
    post(s.shard, late_queue{s, std::move(queue)});
}

void broker::stop() {
    if (stopped_) return;
    stopped_ = true;
    for (auto& s : shards_) s->post(stop_request{});
    for (auto& s : shards_) s->join();
    socket_files_.clear();
    pool_.reset(); // its completions reach shards that no longer listen, which are still there
}

std::vector<std::string> broker::urls() const {
    std::vector<std::string> out;
    for (const listener_settings& l : settings_.listeners) out.push_back(url_of(l));
    return out;
}

} // namespace fb::net
