#include "bench/fleet/load_peer.hpp"

#include <algorithm>
#include <cstring>

#include "proto/encode.hpp"

namespace fb::fleet {
namespace {

constexpr std::uint32_t kept_session_s = 3600;
constexpr char puback_first = 0x40;
constexpr char pubrec_first = 0x50;
constexpr char pubrel_first = 0x62;
constexpr char pubcomp_first = 0x70;

std::uint8_t byte_at(std::string_view bytes, std::size_t i) { return static_cast<std::uint8_t>(bytes[i]); }

std::uint16_t u16_at(std::string_view bytes, std::size_t i) {
    return static_cast<std::uint16_t>(byte_at(bytes, i) << 8 | byte_at(bytes, i + 1));
}

/// Reads a variable byte integer at `at` and moves behind it. False when the bytes end before it does.
bool read_varint(std::string_view bytes, std::size_t& at, std::size_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 28 && at < bytes.size(); shift += 7) {
        const auto b = byte_at(bytes, at++);
        value |= std::size_t{b & 0x7FU} << shift;
        if ((b & 0x80) == 0) return true;
    }
    return false;
}

/// Of a SUBACK: whether every filter was granted.
bool granted(std::string_view body, bool v5) {
    std::size_t at = 2;
    std::size_t property_bytes = 0;
    if (v5 && !read_varint(body, at, property_bytes)) return false;
    at += property_bytes;
    if (at >= body.size()) return false;
    const auto codes = body.substr(at);
    return std::none_of(codes.begin(), codes.end(), [](char c) { return static_cast<std::uint8_t>(c) >= 0x80; });
}

} // namespace

load_peer::load_peer(loop& l, peer_options options, std::uint32_t number, peer_events& events)
    : options_(std::move(options))
    , number_(number)
    , events_(events)
    , stream_(l, *this) {}

void load_peer::open(const socket_address* from) {
    input_.clear();
    stream_.open(options_.broker, options_.tls, from);
}

void load_peer::close() {
    if (stream_.is_open()) stream_.send(std::string_view("\xE0\x00", 2));
    stream_.close();
}

void load_peer::ping() { stream_.send(std::string_view("\xC0\x00", 2)); }

void load_peer::on_open() {
    proto::connect hello;
    hello.protocol = options_.v5 ? proto::version::v5 : proto::version::v3_1_1;
    hello.client_id = options_.client_id;
    hello.keep_alive_s = options_.keep_alive_s;
    hello.clean_start = !options_.keep_session;
    if (options_.keep_session) hello.properties.session_expiry_s = kept_session_s;
    proto::encode(hello, stream_.output());
    stream_.want_flush();
}

void load_peer::subscribe(const std::vector<std::string>& filters, proto::qos quality) {
    proto::subscribe s;
    s.id = 1;
    for (const auto& filter : filters) {
        s.requests.emplace_back();
        s.requests.back().filter = filter;
        s.requests.back().options.maximum_qos = quality;
    }
    proto::encode(s, options_.v5 ? proto::version::v5 : proto::version::v3_1_1, stream_.output());
    stream_.want_flush();
    if (quality == proto::qos::exactly_once) received_ids_.resize(65536);
}

void load_peer::prepare_publish(const std::string& topic, proto::qos quality, std::size_t payload_bytes, bool retain) {
    const std::string payload(payload_bytes, '.');
    proto::publish p;
    p.topic = topic;
    p.quality = quality;
    p.retain = retain;
    p.payload = payload;
    p.id = quality == proto::qos::at_most_once ? proto::packet_id{0} : proto::packet_id{1};
    packet_.clear();
    proto::encode(p, options_.v5 ? proto::version::v5 : proto::version::v3_1_1, packet_);
    payload_at_ = packet_.size() - payload_bytes;
    id_at_ = p.id == 0 ? 0 : payload_at_ - 2 - (options_.v5 ? 1 : 0); // an empty property block is one byte
}

void load_peer::publish(proto::packet_id id, std::string_view head) {
    if (id_at_ != 0) {
        packet_[id_at_] = static_cast<char>(id >> 8);
        packet_[id_at_ + 1] = static_cast<char>(id & 0xFF);
    }
    std::memcpy(packet_.data() + payload_at_, head.data(), head.size());
    stream_.send(packet_);
}

void load_peer::on_bytes(std::string_view bytes) {
    const bool buffered = !input_.empty();
    if (buffered) input_.append(bytes);
    const std::string_view all = buffered ? std::string_view(input_) : bytes;
    std::size_t at = 0;
    while (all.size() - at >= 2 && !stream_.is_closed()) {
        std::size_t body_at = at + 1;
        std::size_t body_bytes = 0;
        if (!read_varint(all, body_at, body_bytes) || all.size() - body_at < body_bytes) break;
        handle(byte_at(all, at), all.substr(body_at, body_bytes));
        at = body_at + body_bytes;
    }
    if (stream_.is_closed()) return;
    if (buffered)
        input_.erase(0, at);
    else if (at < bytes.size())
        input_.assign(bytes.substr(at));
}

void load_peer::answer(char first, std::string_view id) {
    const char packet[] = {first, 2, id[0], id[1]};
    stream_.send({packet, sizeof packet});
}

void load_peer::handle(std::uint8_t first, std::string_view body) {
    const auto type = static_cast<proto::packet_type>(first >> 4);
    if (type == proto::packet_type::publish) return handle_publish(first, body);
    if (type == proto::packet_type::pingresp) return;
    const bool refused = body.size() > 2 && byte_at(body, 2) >= 0x80;
    if (body.size() >= 2) {
        switch (type) {
        case proto::packet_type::connack:
            if (byte_at(body, 1) == 0) return events_.on_ready(*this);
            break;
        case proto::packet_type::suback:
            if (granted(body, options_.v5)) return events_.on_subscribed(*this);
            break;
        case proto::packet_type::puback:
        case proto::packet_type::pubcomp: return events_.on_acknowledged(*this, u16_at(body, 0), refused);
        case proto::packet_type::pubrec:
            if (refused) return events_.on_acknowledged(*this, u16_at(body, 0), true);
            return answer(pubrel_first, body);
        case proto::packet_type::pubrel:
            if (!received_ids_.empty()) received_ids_[u16_at(body, 0)] = false;
            return answer(pubcomp_first, body);
        default: break;
        }
    }
    const auto packet_code = std::to_string(body.empty() ? 0 : byte_at(body, body.size() > 1 ? 1 : 0));
    stream_.close();
    events_.on_lost(*this, std::string(to_string(type)) + " with code " + packet_code);
}

void load_peer::handle_publish(std::uint8_t first, std::string_view body) {
    const unsigned quality = first >> 1 & 3;
    std::size_t at = body.size() < 2 ? body.size() : 2U + u16_at(body, 0);
    const auto id_at = at;
    if (quality > 0) at += 2;
    std::size_t property_bytes = 0;
    if (options_.v5 && (at > body.size() || !read_varint(body, at, property_bytes))) at = body.size() + 1;
    at += property_bytes;
    if (at > body.size()) {
        stream_.close();
        return events_.on_lost(*this, "malformed PUBLISH");
    }
    if (quality == 1) answer(puback_first, body.substr(id_at));
    if (quality == 2) {
        const auto id = u16_at(body, id_at);
        answer(pubrec_first, body.substr(id_at));
        if (received_ids_.empty() || received_ids_[id]) return; // sent again before our PUBREC: the same message
        received_ids_[id] = true;
    }
    events_.on_delivery(*this, body.substr(at));
}

} // namespace fb::fleet
