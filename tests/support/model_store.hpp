// The state store as a model: applies the engines' operations to maps, and gives back what a restart would find.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "broker/core/engine.hpp"

namespace fb::test {

class model_store {
  public:
    void apply(const core::persist_batch& batch) {
        for (const auto& op : batch.operations) {
            if (!loses || !loses(op)) std::visit([&](const auto& o) { apply(o); }, op);
        }
    }
    /// For tests of tests: a store that forgets these.
    std::function<bool(const core::persist_operation&)> loses;

    std::vector<core::restored_session> sessions() const {
        std::vector<core::restored_session> all;
        for (const auto& [number, row] : sessions_) {
            core::restored_session s;
            s.number = number;
            s.client_id = row.head.client_id;
            s.identity = row.head.identity;
            s.protocol = row.head.protocol;
            s.expiry_s = row.head.expiry_s;
            s.ended_unix_ms = row.head.ended_unix_ms;
            s.will = row.head.will;
            s.will_delay_s = row.head.will_delay_s;
            for (const auto& [filter, sub] : row.subscriptions)
                s.subscriptions.push_back({filter, sub.options, sub.subscription_id});
            for (const auto& [sequence, d] : row.queue) s.queue.push_back(delivery_of(d));
            s.received.assign(row.received.begin(), row.received.end());
            all.push_back(std::move(s));
        }
        return all;
    }

    void restore_retained(core::retained& into) const {
        for (const auto& [topic, r] : retained_) into.restore(r.message, r.version);
    }

    std::size_t session_count() const { return sessions_.size(); }
    std::size_t row_count() const {
        std::size_t n = 0;
        for (const auto& [number, row] : sessions_) n += row.queue.size();
        return n;
    }
    std::uint64_t next_session_number() const { return highest_session_ + 1; }
    std::uint64_t next_message_id() const { return highest_message_ + 1; }

  private:
    struct session_row {
        core::persist::put_session head;
        std::map<std::string, core::persist::put_subscription> subscriptions;
        std::map<std::uint64_t, core::persist::enqueue> queue;
        std::set<proto::packet_id> received;
    };

    void apply(const core::persist::put_session& o) {
        sessions_[o.number].head = o;
        highest_session_ = std::max(highest_session_, o.number);
        if (o.will) highest_message_ = std::max(highest_message_, o.will->id());
    }
    void apply(const core::persist::delete_session& o) { sessions_.erase(o.number); }
    void apply(const core::persist::put_subscription& o) {
        if (session_row* s = find(o.session)) s->subscriptions[o.filter] = o;
    }
    void apply(const core::persist::delete_subscription& o) {
        if (session_row* s = find(o.session)) s->subscriptions.erase(o.filter);
    }
    void apply(const core::persist::enqueue& o) {
        highest_message_ = std::max(highest_message_, o.message->id());
        if (session_row* s = find(o.session)) s->queue[o.sequence] = o;
    }
    void apply(const core::persist::set_delivery& o) {
        session_row* s = find(o.session);
        if (s == nullptr || !s->queue.contains(o.sequence)) return;
        s->queue[o.sequence].packet_id = o.packet_id;
        s->queue[o.sequence].phase = o.phase;
    }
    void apply(const core::persist::dequeue& o) {
        if (session_row* s = find(o.session)) s->queue.erase(o.sequence);
    }
    void apply(const core::persist::put_received& o) {
        if (session_row* s = find(o.session)) s->received.insert(o.packet_id);
    }
    void apply(const core::persist::delete_received& o) {
        if (session_row* s = find(o.session)) s->received.erase(o.packet_id);
    }
    void apply(const core::persist::put_retained& o) {
        highest_message_ = std::max(highest_message_, o.message->id());
        const std::string topic(o.message->topic());
        const auto known = retained_.find(topic);
        if (known != retained_.end() && known->second.version > o.version) return;
        if (o.message->payload().empty())
            retained_.erase(topic);
        else
            retained_[topic] = o;
    }

    session_row* find(std::uint64_t number) {
        const auto at = sessions_.find(number);
        return at == sessions_.end() ? nullptr : &at->second;
    }

    static core::delivery delivery_of(const core::persist::enqueue& row) {
        core::delivery d;
        d.message = row.message;
        if (!row.subscription_ids.empty()) {
            auto ids = boost::intrusive_ptr<core::id_list>(new core::id_list);
            ids->ids = row.subscription_ids;
            d.ids = {ids, 0, static_cast<std::uint32_t>(row.subscription_ids.size())};
        }
        d.sequence = row.sequence;
        d.id = row.packet_id;
        d.quality = row.quality;
        d.retain = row.retain;
        d.phase = row.phase;
        return d;
    }

    std::map<std::uint64_t, session_row> sessions_;
    std::map<std::string, core::persist::put_retained> retained_;
    std::uint64_t highest_session_ = 0;
    std::uint64_t highest_message_ = 0;
};

} // namespace fb::test
