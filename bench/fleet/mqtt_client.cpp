#include "bench/fleet/mqtt_client.hpp"

#include <algorithm>
#include <functional>

namespace fb::fleet {
namespace {

constexpr std::uint32_t packet_bytes_max = 512 * 1024; // a chunk of 64 KiB with its topic fits many times over
constexpr std::uint16_t alias_max = 16;
constexpr std::uint16_t receive_max = 32;
constexpr char dup_flag = 0x08;

} // namespace

std::chrono::milliseconds reconnect_delay(unsigned failures, std::minstd_rand& random) {
    const int longest_ms = static_cast<int>(std::min(30'000U, 250U << std::min(failures, 10U)));
    return std::chrono::milliseconds(std::uniform_int_distribution<int>(longest_ms / 2, longest_ms)(random));
}

mqtt_client::mqtt_client(loop& l, mqtt_options options, mqtt_events& events)
    : loop_(l)
    , options_(std::move(options))
    , events_(events)
    , stream_(l, *this)
    , random_(static_cast<unsigned>(std::hash<std::string>{}(options_.client_id) ^ std::random_device{}())) {}

void mqtt_client::start() {
    wanted_ = true;
    stream_.open(options_.broker, options_.tls);
}

void mqtt_client::stop() {
    if (connected_) {
        proto::encode(proto::disconnect{}, options_.version, stream_.output());
        stream_.want_flush();
    }
    wanted_ = connected_ = false;
    loop_.cancel(timer_);
    stream_.close();
}

void mqtt_client::cut() {
    if (wanted_) give_up("cut on purpose");
}

void mqtt_client::on_open() {
    input_.clear();
    aliases_.clear();
    heard_ = ping_sent_ = false;
    proto::connect hello;
    hello.protocol = options_.version;
    hello.clean_start = false;
    hello.keep_alive_s = options_.keep_alive_s;
    hello.client_id = options_.client_id;
    hello.properties.session_expiry_s = options_.session_expiry_s;
    hello.properties.receive_maximum = receive_max;
    hello.properties.topic_alias_maximum = alias_max;
    hello.properties.maximum_packet_size = packet_bytes_max;
    if (!options_.will_topic.empty()) {
        auto& last_will = hello.last_will.emplace();
        last_will.topic = options_.will_topic;
        last_will.payload = options_.will_payload;
        last_will.quality = proto::qos::at_least_once;
    }
    proto::encode(hello, stream_.output());
    stream_.want_flush();
    timer_ = loop_.after(std::chrono::seconds(options_.keep_alive_s), [this] { keep_alive(); });
}

void mqtt_client::on_closed(const std::string& why) {
    loop_.cancel(timer_);
    const bool was_connected = std::exchange(connected_, false);
    if (was_connected) failures_ = 0;
    reconnect_later();
    events_.on_disconnected(why);
}

void mqtt_client::give_up(const std::string& why) {
    stream_.close();
    on_closed(why);
}

void mqtt_client::reconnect_later() {
    if (!wanted_) return;
    timer_ = loop_.after(reconnect_delay(failures_++, random_), [this] { start(); });
}

void mqtt_client::keep_alive() {
    if (!connected_) return give_up("no CONNACK in time");
    if (!heard_ && ping_sent_) return give_up("keep-alive timeout");
    proto::encode(proto::pingreq{}, stream_.output());
    stream_.want_flush();
    heard_ = false;
    ping_sent_ = true;
    // Twice per interval, so that the broker never has to wait longer than the interval for a packet.
    timer_ = loop_.after(std::chrono::milliseconds(options_.keep_alive_s * 500), [this] { keep_alive(); });
}

bool mqtt_client::publish(std::string_view topic, std::string_view payload, proto::qos quality, int tag) {
    if (!connected_ || kept_.size() >= publishes_kept_max) return false;
    proto::publish p;
    p.topic = topic;
    p.payload = payload;
    p.quality = quality;
    if (quality == proto::qos::at_most_once) {
        proto::encode(p, options_.version, stream_.output());
    } else {
        p.id = next_id();
        auto& kept = kept_[p.id];
        kept.tag = tag;
        proto::encode(p, options_.version, kept.bytes);
        stream_.send(kept.bytes);
    }
    stream_.want_flush();
    return true;
}

void mqtt_client::subscribe(const std::vector<std::string>& filters) {
    proto::subscribe s;
    s.id = next_id();
    for (const auto& filter : filters) {
        s.requests.emplace_back();
        s.requests.back().filter = filter;
        s.requests.back().options.maximum_qos = proto::qos::at_least_once;
    }
    proto::encode(s, options_.version, stream_.output());
    stream_.want_flush();
}

proto::packet_id mqtt_client::next_id() {
    do {
        if (++last_id_ == 0) last_id_ = 1;
    } while (kept_.contains(last_id_));
    return last_id_;
}

void mqtt_client::on_bytes(std::string_view bytes) {
    heard_ = true;
    // The common case is whole packets: they are decoded where they lie.
    const bool buffered = !input_.empty();
    if (buffered) input_.append(bytes);
    std::string_view left = buffered ? std::string_view(input_) : bytes;
    while (!left.empty() && !stream_.is_closed()) {
        const auto f = proto::next_frame(left, packet_bytes_max);
        if (!f) return give_up(f.error().what);
        if (!f->complete()) break;
        handle(*f);
        left.remove_prefix(f->size);
    }
    if (stream_.is_closed()) return;
    if (buffered)
        input_.erase(0, input_.size() - left.size());
    else
        input_.assign(left);
}

void mqtt_client::handle(const proto::frame& f) {
    switch (f.type) {
    case proto::packet_type::connack: return handle_connack(f);
    case proto::packet_type::publish: return handle_publish(f);
    case proto::packet_type::puback: {
        const auto ack = proto::decode_puback(f, options_.version);
        if (!ack) return give_up(ack.error().what);
        const auto found = kept_.find(ack->id);
        if (found == kept_.end()) return;
        const int tag = found->second.tag;
        kept_.erase(found);
        return events_.on_acknowledged(tag, ack->reason);
    }
    case proto::packet_type::disconnect: {
        const auto bye = proto::decode_disconnect(f, options_.version);
        return give_up(bye ? "server: " + std::string(to_string(bye->reason)) : bye.error().what);
    }
    case proto::packet_type::suback:
    case proto::packet_type::pingresp: return;
    default: return give_up("unexpected " + std::string(to_string(f.type)));
    }
}

void mqtt_client::handle_connack(const proto::frame& f) {
    const auto ack = proto::decode_connack(f, options_.version);
    if (!ack) return give_up(ack.error().what);
    if (is_error(ack->reason)) return give_up("refused: " + std::string(to_string(ack->reason)));
    connected_ = true;
    if (ack->session_present)
        send_kept_again();
    else
        kept_.clear();
    events_.on_connected();
}

void mqtt_client::send_kept_again() {
    for (auto& [id, kept] : kept_) {
        kept.bytes[0] = static_cast<char>(kept.bytes[0] | dup_flag);
        stream_.send(kept.bytes);
    }
}

void mqtt_client::handle_publish(const proto::frame& f) {
    const auto p = proto::decode_publish(f, options_.version, false);
    if (!p) return give_up(p.error().what);
    const auto topic = topic_of(*p);
    if (!topic) return give_up("topic alias not set");
    events_.on_message(*topic, p->payload);
    if (p->quality != proto::qos::at_least_once || !connected_) return;
    proto::encode(proto::puback{p->id, proto::reason_code::success, {}}, options_.version, stream_.output());
    stream_.want_flush();
}

std::optional<std::string> mqtt_client::topic_of(const proto::publish& p) {
    const auto alias = p.properties.topic_alias.value_or(0);
    if (!p.topic.empty()) {
        if (alias != 0 && alias <= alias_max) aliases_[alias] = p.topic;
        return std::string(p.topic);
    }
    const auto found = aliases_.find(alias);
    return found == aliases_.end() ? std::nullopt : std::optional(found->second);
}

} // namespace fb::fleet
