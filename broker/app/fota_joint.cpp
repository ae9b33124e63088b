#include "broker/app/fota_joint.hpp"

#include <algorithm>
#include <spdlog/spdlog.h>

#include "broker/net/broker.hpp"
#include "fota/topics.hpp"
#include "proto/decode.hpp"
#include "proto/encode.hpp"
#include "proto/topic.hpp"

namespace fb::app {
namespace {

constexpr std::size_t fota_calls_max = 20'000; // waiting for the FOTA thread: above it reports are turned away

/// A session handle as FOTA's opaque number. The generation keeps 24 bits; the epoch beside it tells old ones apart.
std::uint64_t pack(const core::session_handle& s) {
    return std::uint64_t{s.shard} << 48 | std::uint64_t{s.slot & 0xFF'FFFF} << 24 | (s.generation & 0xFF'FFFF);
}

core::session_handle unpack(std::uint64_t packed) {
    return {static_cast<std::uint32_t>(packed >> 24 & 0xFF'FFFF), static_cast<std::uint32_t>(packed & 0xFF'FFFF),
            static_cast<core::shard_id>(packed >> 48)};
}

fota::peer peer_of(const core::peer_reference& r) {
    fota::peer p;
    p.device_id = r.who->device_id;
    p.connection = {pack(r.session), r.epoch};
    p.address = r.address;
    if (!r.who->fingerprint.empty()) p.certificate_fingerprint = r.who->fingerprint;
    return p;
}

} // namespace

std::vector<std::string> fota_filters() {
    return {"device/+/status", "device/+/update/progress", "device/+/update/result", "device/+/fw/get"};
}

fota::ack_token fota_joint::remember(const core::ack_token& token) {
    const std::lock_guard lock(mutex_);
    const std::uint64_t value = next_token_++;
    tokens_.emplace(value, token);
    return {value, token.session.shard};
}

void fota_joint::on_local(core::local_delivery&& d) {
    const auto topic = fota::parse_report_topic(d.message->topic());
    const core::principal& who = *d.from.who;
    if (!topic || !who.is_device() || topic->device_id != who.device_id) {
        spdlog::warn("{}: report to '{}' refused: it is not this client's own device topic", d.from.client_id,
                     d.message->topic());
        if (d.token)
            broker_->verdict(d.token, proto::reason_code::not_authorized, "only the device itself may report here");
        return;
    }
    fota::fota_thread* fota = fota_.load(std::memory_order_acquire);
    if (fota != nullptr && fota->pending() > fota_calls_max) {
        if (d.token)
            broker_->verdict(d.token, proto::reason_code::quota_exceeded,
                             "too many reports are waiting; send it again later");
        return;
    }
    fota::report r;
    r.from = peer_of(d.from);
    r.topic = d.message->topic();
    r.payload =
        d.message->payload().substr(0, payload_bytes_max_ + std::size_t{1}); // one more: FOTA sees that it is too long
    if (const auto p = proto::decode_forward_block(d.message->properties())) {
        r.response_topic = p->response_topic.value_or("");
        r.correlation = p->correlation_data.value_or("");
    }
    r.wants_ack = bool(d.token);
    if (d.token) r.token = remember(d.token);
    if (fota == nullptr && before_fota(r)) return;
    post(*fota_.load(std::memory_order_acquire), r);
}

void fota_joint::post(fota::fota_thread& fota, const fota::report& r) {
    fota.post([r](fota::service& s, fota::timestamp now) { s.on_report(r, now); });
}

void fota_joint::on_peer(core::peer_event&& e) {
    if (!e.peer.who->is_device()) return;
    using kind = core::peer_event::kind;
    const fota::peer who = peer_of(e.peer);
    const bool of_updates = e.what == kind::connected || e.what == kind::disconnected ||
                            proto::topic_matches(e.filter, fota::update_topic(who.device_id));
    if (!of_updates) return;
    if (fota_.load(std::memory_order_acquire) == nullptr && before_fota(e, who)) return;
    fota::fota_thread& fota = *fota_.load(std::memory_order_acquire);
    switch (e.what) {
    case kind::connected: return post_connected(fota, who);
    case kind::disconnected:
        return fota.post([this, who](fota::service& s, fota::timestamp now) {
            update_filters_.erase(who.connection);
            s.device_disconnected(who, now);
        });
    case kind::subscribed: return post_subscribed(fota, who, e.filter);
    case kind::unsubscribed:
        return fota.post([this, who, filter = e.filter](fota::service& s, fota::timestamp now) {
            const auto at = update_filters_.find(who.connection);
            if (at == update_filters_.end() || std::erase(at->second, filter) == 0 || !at->second.empty()) return;
            update_filters_.erase(at);
            s.device_not_ready(who, now);
        });
    }
}

void fota_joint::post_connected(fota::fota_thread& fota, const fota::peer& who) {
    fota.post([this, who](fota::service& s, fota::timestamp now) {
        update_filters_.erase(who.connection);
        s.device_connected(who, now);
    });
}

void fota_joint::post_subscribed(fota::fota_thread& fota, const fota::peer& who, const std::string& filter) {
    fota.post([this, who, filter](fota::service& s, fota::timestamp now) {
        auto& filters = update_filters_[who.connection];
        if (std::find(filters.begin(), filters.end(), filter) == filters.end()) filters.push_back(filter);
        s.device_ready(who, now);
    });
}

void fota_joint::publish_live(std::string_view topic, std::string payload, std::uint32_t expiry_s) {
    core::local_publish p;
    p.topic = topic;
    p.payload = std::move(payload);
    p.quality = proto::qos::at_least_once;
    p.expiry_s = expiry_s;
    broker_->publish_live(std::move(p));
}

void fota_joint::deliver(chunk c) {
    core::direct_delivery d;
    d.to = unpack(c.to.session);
    d.epoch = c.to.epoch;
    d.topic = c.response_topic.empty() ? c.topic : c.response_topic;
    d.payload = std::move(c.data);
    const std::string offset = std::to_string(c.offset);
    proto::publish_properties properties;
    if (!c.correlation.empty()) properties.correlation_data = c.correlation;
    if (!c.response_topic.empty()) properties.user.add("offset", offset);
    proto::append_forward_block(properties, d.properties);
    broker_->deliver(std::move(d));
}

void fota_joint::acknowledge(fota::ack_token token, fota::verdict v, std::string_view reason) {
    core::ack_token owed;
    {
        const std::lock_guard lock(mutex_);
        const auto at = tokens_.find(token.value);
        if (at == tokens_.end()) return;
        owed = at->second;
        tokens_.erase(at);
    }
    using proto::reason_code;
    const auto code = [&] {
        switch (v) {
        case fota::verdict::accepted: return reason_code::success;
        case fota::verdict::malformed: return reason_code::payload_format_invalid;
        case fota::verdict::refused: return reason_code::not_authorized;
        case fota::verdict::unavailable: return reason_code::quota_exceeded;
        }
        return reason_code::success;
    }();
    broker_->verdict(owed, code, std::string(reason));
}

} // namespace fb::app
