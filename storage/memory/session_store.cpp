// The session store in memory: for tests, and for a broker that shall forget. One thread.
#include "storage/session_store.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "storage/open.hpp"

namespace fb::storage {

namespace memory {

namespace {

struct stored_message {
    explicit stored_message(const message_record& m)
        : topic(m.topic)
        , payload(m.payload)
        , properties(m.properties)
        , record(m) {
        record.topic = topic;
        record.payload = payload;
        record.properties = properties;
        record.owner.reset();
    }
    stored_message(const stored_message&) = delete;
    stored_message& operator=(const stored_message&) = delete;

    const std::string topic, payload, properties;
    message_record record; // views of the above
};
using message_pointer = std::shared_ptr<const stored_message>;

struct stored_session {
    session_record row;
    message_pointer will;
};
struct queued {
    queue_record row;
    message_pointer message;
};
/// What belongs to a session, whether or not it has been put yet.
struct belongings {
    std::map<std::string, subscription_record> subscriptions;
    std::map<std::uint64_t, queued> queue; // by sequence
    std::set<std::uint16_t> received;
};
struct retained_topic {
    std::uint64_t version = 0;
    message_pointer message; // null: cleared
};

class memory_session_store final : public session_store {
  public:
    result<session_counters> load(const session_loader& loader) override;

    status apply(std::span<const session_operation> operations) override {
        for (const session_operation& operation : operations) {
            std::visit([this](const auto& op) { perform(op); }, operation);
        }
        return done{};
    }

  private:
    void perform(const put_session& op);
    void perform(const delete_session& op) {
        sessions_.erase(op.number);
        belongings_.erase(op.number);
    }
    void perform(const put_subscription& op) {
        belongings_[op.row.session].subscriptions.insert_or_assign(op.row.filter, op.row);
    }
    void perform(const delete_subscription& op) { belongings_[op.session].subscriptions.erase(op.filter); }
    void perform(const enqueue& op) {
        belongings_[op.row.session].queue.insert_or_assign(op.row.sequence, queued{op.row, keep(op.message)});
    }
    void perform(const set_delivery& op);
    void perform(const dequeue& op) { belongings_[op.session].queue.erase(op.sequence); }
    void perform(const put_received& op) { belongings_[op.session].received.insert(op.packet_id); }
    void perform(const delete_received& op) { belongings_[op.session].received.erase(op.packet_id); }
    void perform(const put_retained& op);

    /// The one copy of a message, as long as somebody refers to it.
    message_pointer keep(const message_record& m);

    std::map<std::uint64_t, stored_session> sessions_;
    std::map<std::uint64_t, belongings> belongings_;
    std::map<std::string, retained_topic> retained_;
    std::map<std::uint64_t, std::weak_ptr<const stored_message>> messages_;
    std::size_t sweep_at_ = 1024; // messages_ entries at which the dead ones are removed
};

message_pointer memory_session_store::keep(const message_record& m) {
    auto& slot = messages_[m.id];
    if (auto known = slot.lock()) return known;
    auto kept = std::make_shared<const stored_message>(m);
    slot = kept;
    if (messages_.size() >= sweep_at_) {
        std::erase_if(messages_, [](const auto& entry) { return entry.second.expired(); });
        sweep_at_ = std::max<std::size_t>(1024, messages_.size() * 2);
    }
    return kept;
}

void memory_session_store::perform(const put_session& op) {
    std::vector<std::uint64_t> older;
    for (const auto& [number, session] : sessions_) {
        if (session.row.client_id == op.row.client_id && number != op.row.number) older.push_back(number);
    }
    for (const std::uint64_t number : older) perform(delete_session{number});
    stored_session stored{op.row, nullptr};
    if (op.row.will && op.row.will->id != 0) stored.will = keep(*op.row.will);
    stored.row.will.reset();
    sessions_.insert_or_assign(op.row.number, std::move(stored));
}

void memory_session_store::perform(const set_delivery& op) {
    auto& queue = belongings_[op.session].queue;
    const auto found = queue.find(op.sequence);
    if (found == queue.end()) return;
    found->second.row.packet_id = op.packet_id;
    found->second.row.state = op.state;
}

void memory_session_store::perform(const put_retained& op) {
    retained_topic& topic = retained_[op.topic];
    if (op.version < topic.version) return;
    topic.version = op.version;
    topic.message = op.message.id == 0 ? nullptr : keep(op.message);
}

result<session_counters> memory_session_store::load(const session_loader& loader) {
    session_counters counters;
    for (const auto& [number, session] : sessions_) {
        counters.session = std::max(counters.session, number);
        session_record row = session.row;
        if (session.will) row.will = session.will->record;
        if (loader.on_session) loader.on_session(std::move(row));
    }
    for (const auto& [number, session] : sessions_) {
        const belongings& own = belongings_[number];
        for (const auto& [filter, row] : own.subscriptions) {
            if (loader.on_subscription) loader.on_subscription(row);
        }
        if (loader.on_waiting && !own.queue.empty())
            loader.on_waiting({number, own.queue.rbegin()->first, own.queue.size()});
        for (const auto& [sequence, entry] : own.queue) {
            if (loader.on_queued) loader.on_queued(entry.row, entry.message->record);
        }
        for (const std::uint16_t packet_id : own.received) {
            if (loader.on_received) loader.on_received(number, packet_id);
        }
    }
    for (const auto& [name, topic] : retained_) {
        counters.retained_version = std::max(counters.retained_version, topic.version);
        if (topic.message && loader.on_retained) loader.on_retained(topic.version, topic.message->record);
        if (!topic.message && loader.on_cleared) loader.on_cleared(topic.version, name);
    }
    for (const auto& [id, message] : messages_) {
        if (!message.expired()) counters.message = std::max(counters.message, id);
    }
    return counters;
}

} // namespace

} // namespace memory

std::unique_ptr<session_store> make_memory_session_store() { return std::make_unique<memory::memory_session_store>(); }

} // namespace fb::storage
