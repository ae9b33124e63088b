// The steps and expectations of a simulated client: how they reach the engine. Included by transcript.hpp only.
#pragma once

#include "tests/support/transcript.hpp"

namespace fb::test {

inline client& client::open() {
    broker_.drop(*this);
    closed_.reset();
    received_.clear();
    read_budget_ = static_cast<std::size_t>(-1);
    last_id_ = 0;
    shard_ = 0;
    handle_ = broker_.shards_[0]->engine->open(info_, broker_.now_);
    return *this;
}

inline client& client::connect(const connect_options& o) {
    if (!online()) open();
    proto::connect p;
    p.protocol = version_;
    p.clean_start = o.clean;
    p.client_id = id_;
    p.keep_alive_s = o.keep_alive_s;
    p.last_will = o.will;
    p.properties.session_expiry_s = o.expiry_s;
    p.properties.receive_maximum = o.receive_maximum;
    p.properties.maximum_packet_size = o.packet_bytes_max;
    p.properties.topic_alias_maximum = o.alias_maximum;
    p.properties.request_problem_information = o.problem_information;
    p.user_name = o.user_name;
    p.password = o.password;
    p.properties.authentication_method = o.method;
    p.properties.authentication_data = o.data;
    return send(p);
}

inline client& client::publish(std::string_view topic, std::string_view payload, int qos, const publish_options& o) {
    proto::publish p;
    p.topic = topic;
    p.payload = payload;
    p.quality = static_cast<proto::qos>(qos);
    p.retain = o.retain;
    p.dup = o.dup;
    if (qos > 0) p.id = o.id != 0 ? o.id : next_id();
    p.properties.message_expiry_s = o.expiry_s;
    if (o.alias != 0) p.properties.topic_alias = o.alias;
    return send(p);
}

inline client& client::subscribe(std::string_view filter, int qos, proto::subscription_options o, std::uint32_t id) {
    o.maximum_qos = static_cast<proto::qos>(qos);
    return subscribe_all({{filter, o}}, id);
}

inline client& client::subscribe_all(const std::vector<proto::topic_request>& requests, std::uint32_t id) {
    proto::subscribe p;
    p.id = next_id();
    p.requests = requests;
    if (id != 0) p.properties.subscription_id = id;
    return send(p);
}

inline client& client::unsubscribe(const std::vector<std::string_view>& filters) {
    proto::unsubscribe p;
    p.id = next_id();
    p.filters = filters;
    return send(p);
}

inline client& client::ping() { return send(proto::pingreq{}); }

inline client& client::disconnect(proto::reason_code reason, std::optional<std::uint32_t> expiry_s) {
    proto::disconnect p;
    p.reason = reason;
    p.properties.session_expiry_s = expiry_s;
    return send(p);
}

inline client& client::send_bytes(std::string_view bytes) {
    if (!broker_.step()) return cut();
    if (!online()) return *this;
    unsent_ += bytes;
    broker_.feed(*this);
    broker_.settle();
    return *this;
}

inline client& client::cut() {
    broker_.drop(*this);
    broker_.settle();
    return *this;
}

inline client& client::read(std::size_t bytes) {
    read_budget_ = bytes;
    if (online()) broker_.flush(*this);
    broker_.settle();
    return *this;
}

inline bool client::mute() const { return broker_.muted(); }
inline bool client::paused() const { return broker_.shards_[shard_]->engine->paused(handle_); }
inline std::size_t client::output_bytes() const { return broker_.shards_[shard_]->engine->output_size(handle_); }

inline std::string client::take_bytes() {
    const auto f = proto::next_frame(received_, proto::no_size_limit);
    if (!f || !f->complete()) return {};
    std::string bytes = received_.substr(0, f->size);
    received_.erase(0, f->size);
    return bytes;
}

inline client& client::expect(std::string_view line) {
    const std::string bytes = take_bytes();
    if (mute()) return *this;
    const std::string came = bytes.empty() ? "nothing" : describe(bytes, version_);
    INFO("client " << id_);
    CHECK(came == line);
    return *this;
}

inline client& client::expect_nothing() {
    if (mute()) return *this;
    const std::string bytes = take_bytes();
    const std::string came = bytes.empty() ? "nothing" : describe(bytes, version_);
    INFO("client " << id_);
    CHECK(came == "nothing");
    return *this;
}

inline client& client::expect_closed(core::close_cause cause) {
    if (mute()) return *this;
    expect_nothing();
    INFO("client " << id_);
    REQUIRE(closed_.has_value());
    CHECK(std::string(to_string(*closed_)) == to_string(cause));
    return *this;
}

inline std::vector<std::string> client::take() {
    std::vector<std::string> lines;
    for (std::string bytes = take_bytes(); !bytes.empty(); bytes = take_bytes())
        lines.push_back(describe(bytes, version_));
    return lines;
}

} // namespace fb::test
