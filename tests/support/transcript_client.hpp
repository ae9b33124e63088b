// What a simulated client is and can do in a transcript (transcript.hpp): its options, steps and expectations.
#pragma once

#include <doctest/doctest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/engine.hpp"
#include "tests/support/describe.hpp"

namespace fb::test {

class broker;

/// Batches that become durable together, in their order.
using commit_group = std::deque<std::pair<core::shard_id, core::persist_batch>>;

struct broker_setup {
    core::shard_id shards = 1;
    core::limits limits;
    core::acl acl;
    std::vector<core::durability_rule> durability_rules;
    core::durability otherwise = core::durability::strict;
    std::size_t feed_bytes = 0; // give the engine so many bytes at a time; 0: all there are
    int cut_at_step = 0;        // 0: never
    std::function<void(core::engine_config&)> configure{};
    std::function<void(const commit_group&)> keep{}; // a real store: gets each group before it counts as committed
};

struct connect_options {
    bool clean = true;
    std::uint32_t expiry_s = 0;
    std::uint16_t keep_alive_s = 0;
    std::uint16_t receive_maximum = 65535;
    std::uint32_t packet_bytes_max = proto::no_size_limit;
    std::uint16_t alias_maximum = 0;
    bool problem_information = true;
    std::optional<proto::will> will{};
    std::optional<std::string_view> user_name{};
    std::optional<std::string_view> password{};
    std::optional<std::string_view> method{}; // of enhanced authentication
    std::optional<std::string_view> data{};
};

struct publish_options {
    bool retain = false;
    bool dup = false;
    std::optional<std::uint32_t> expiry_s;
    std::uint16_t alias = 0;
    proto::packet_id id = 0; // 0: the next
};
inline constexpr publish_options retain{.retain = true, .dup = false, .expiry_s = {}, .alias = 0, .id = 0};
inline constexpr proto::version both[] = {proto::version::v3_1_1, proto::version::v5};

/// A client id that lives on that one of four shards.
inline std::string living_on(core::shard_id shard, const std::string& prefix) {
    for (int i = 0;; ++i) {
        std::string id = prefix + std::to_string(i);
        if (core::home_shard(id, 4) == shard) return id;
    }
}

class client {
  public:
    client(broker& b, std::string id, proto::version v)
        : broker_(b)
        , version_(v)
        , id_(std::move(id)) {}

    // --- what it is; before connecting ---
    client& as(core::principal who) {
        info_.who = std::make_shared<core::principal>(std::move(who));
        return *this;
    }
    client& device(const std::string& device_id) {
        return as({core::principal_kind::certificate, device_id, device_id, {}});
    }
    client& needs_proof() {
        info_.refuse_all = true;
        return *this;
    }
    client& by_client_id() {
        info_.identity_from_client_id = true;
        return *this;
    }
    client& named(std::string id) {
        id_ = std::move(id);
        return *this;
    }
    client& speaking(proto::version v) {
        version_ = v;
        return *this;
    }

    // --- steps ---
    client& open();
    client& connect(const connect_options& o = {});
    client& resume(std::uint32_t expiry_s = 3600) {
        connect_options o;
        o.clean = false;
        o.expiry_s = expiry_s;
        return connect(o);
    }
    client& publish(std::string_view topic, std::string_view payload, int qos = 0, const publish_options& o = {});
    client& subscribe(std::string_view filter, int qos = 2, proto::subscription_options o = {}, std::uint32_t id = 0);
    client& subscribe_all(const std::vector<proto::topic_request>& requests, std::uint32_t id = 0);
    client& unsubscribe(const std::vector<std::string_view>& filters);
    client& puback(proto::packet_id id, proto::reason_code r = {}) { return ack(proto::puback{}, id, r); }
    client& pubrec(proto::packet_id id, proto::reason_code r = {}) { return ack(proto::pubrec{}, id, r); }
    client& pubrel(proto::packet_id id, proto::reason_code r = {}) { return ack(proto::pubrel{}, id, r); }
    client& pubcomp(proto::packet_id id, proto::reason_code r = {}) { return ack(proto::pubcomp{}, id, r); }
    client& ping();
    client& disconnect(proto::reason_code reason = {}, std::optional<std::uint32_t> expiry_s = {});
    client& send_bytes(std::string_view bytes);
    template <class Packet>
    client& send(const Packet& p) {
        return send_bytes(encode_any(p, version_));
    }
    /// The network loses the connection.
    client& cut();

    client& stop_reading() {
        read_budget_ = 0;
        return *this;
    }
    /// Reads at most so many bytes more.
    client& read(std::size_t bytes);
    client& start_reading() { return read(static_cast<std::size_t>(-1)); }

    // --- expectations ---
    client& expect(std::string_view line);
    client& expect_nothing();
    client& expect_closed(core::close_cause cause);
    /// Takes what came so far, as lines.
    std::vector<std::string> take();
    /// Takes the next packet as bytes, to look closer. Empty when there is none.
    std::string take_bytes();
    template <class Packet>
    Packet take_as(std::string& keep) {
        keep = take_bytes();
        const auto p = decode_one(keep, version_, false);
        if (p && std::holds_alternative<Packet>(*p)) return std::get<Packet>(*p);
        if (!mute()) FAIL("another packet came: " << (keep.empty() ? "none" : describe(keep, version_)));
        return {};
    }

    bool online() const { return bool(handle_); }
    bool paused() const;
    core::shard_id shard() const { return shard_; }
    std::size_t output_bytes() const;
    const std::string& id() const { return id_; }
    std::size_t read_budget() const { return read_budget_; }

  private:
    friend class broker;
    template <class Packet>
    client& ack(Packet p, proto::packet_id id, proto::reason_code r) {
        p.id = id;
        p.reason = r;
        return send(p);
    }
    bool mute() const;
    proto::packet_id next_id() {
        return last_id_ = last_id_ == 65535 ? proto::packet_id{1} : static_cast<proto::packet_id>(last_id_ + 1);
    }

    broker& broker_;
    proto::version version_;
    std::string id_;
    core::connection_info info_{
        std::make_shared<core::principal>(core::principal{core::principal_kind::anonymous, "anonymous", {}, {}}),
        "192.0.2.1"};
    core::connection_handle handle_;
    core::shard_id shard_ = 0;
    bool placed_ = false; // on the shard where it belongs
    std::string unsent_;  // by the client, not yet taken by the engine
    std::string received_;
    std::size_t read_budget_ = static_cast<std::size_t>(-1);
    std::optional<core::close_cause> closed_;
    proto::packet_id last_id_ = 0;
};

} // namespace fb::test
