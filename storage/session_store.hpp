// What the broker keeps of its own state across restarts: sessions, subscriptions, queued and in-flight messages, QoS 2
// ids, retained messages. Always local (state.db).
//
// session_store is owned by one writer thread after load(); batches of operations come from the shards' engines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "storage/error.hpp"
#include "storage/online_copy.hpp"

namespace fb::storage {

/// Milliseconds since 1970, UTC; 0 means "none".
using unix_ms = std::int64_t;

/// One publication. The views belong to `owner`, which keeps them alive.
struct message_record {
    std::uint64_t id = 0; // unique within the store; 0 is none
    std::string_view topic;
    std::string_view payload;
    std::string_view properties; // MQTT 5 properties passed on unaltered, encoded
    std::uint8_t quality = 0;    // QoS it was published with
    unix_ms expires_at = 0;
    std::uint64_t publisher = 0; // core::publisher_of(client id), for no-local; below 2^63; 0: nobody
    std::shared_ptr<const void> owner;
};

struct session_record {
    std::uint64_t number = 0; // unique within the store, never reused
    std::string client_id;
    std::string principal; // who owns it: another identity may not resume it
    std::uint8_t protocol = 5;
    std::uint32_t expiry_s = 0;
    unix_ms ended_at = 0; // 0 while connected
    // The will that waits for its delay, or that a crash would have to publish; `will.id` 0 when there is none.
    std::optional<message_record> will;
    bool will_retain = false;
    std::uint32_t will_delay_s = 0;
};

struct subscription_record {
    std::uint64_t session = 0;
    std::string filter;
    std::uint8_t options = 0; // the options byte of SUBSCRIBE (v5 3.8.3.1)
    std::uint32_t subscription_id = 0;
};

enum class delivery_state : std::uint8_t { queued = 0, sent = 1, received = 2 /* PUBREC seen, PUBREL sent */ };

/// A message in one session's outgoing queue.
struct queue_record {
    std::uint64_t session = 0;
    std::uint64_t sequence = 0; // order within the session
    std::uint64_t message = 0;
    std::uint8_t quality = 0; // of this delivery
    bool retain = false;
    std::uint16_t packet_id = 0;
    delivery_state state = delivery_state::queued;
    std::vector<std::uint32_t> subscription_ids;
};

struct put_session {
    session_record row;
}; // inserted or replaced by number; client_id is unique: an older row with it goes
struct delete_session {
    std::uint64_t number = 0;
}; // with everything that belongs to it
struct put_subscription {
    subscription_record row;
}; // inserted or replaced by (session, filter)
struct delete_subscription {
    std::uint64_t session = 0;
    std::string filter;
};
struct enqueue {
    queue_record row;
    message_record message;
}; // the message is stored once however often it is queued
struct set_delivery {
    std::uint64_t session = 0;
    std::uint64_t sequence = 0;
    std::uint16_t packet_id = 0;
    delivery_state state{};
};
struct dequeue {
    std::uint64_t session = 0;
    std::uint64_t sequence = 0;
};
struct put_received {
    std::uint64_t session = 0;
    std::uint16_t packet_id = 0;
}; // QoS 2 received, not yet released
struct delete_received {
    std::uint64_t session = 0;
    std::uint16_t packet_id = 0;
};
/// `version` orders the writers of one topic: an older one than the stored is ignored. message.id 0 clears the topic.
struct put_retained {
    std::uint64_t version = 0;
    std::string topic;
    message_record message;
};

using session_operation = std::variant<put_session, delete_session, put_subscription, delete_subscription, enqueue,
                                       set_delivery, dequeue, put_received, delete_received, put_retained>;

/// That a session's queue is not empty, instead of what is in it.
struct waiting_record {
    std::uint64_t session = 0;
    std::uint64_t last_sequence = 0;
    std::uint64_t messages = 0; // about
};

using queue_reader = std::function<void(queue_record, const message_record&)>;

/// Everything a restart needs, given in this order: sessions, then per session its subscriptions, queue (by sequence)
/// and received ids; then retained messages. Views in messages are valid during the call unless owner is set. Without
/// any function only the counters are read.
///
/// With `on_waiting` it is the first part of a start only, which takes no longer for long queues: load_queue() and
/// end_loading() are to follow. The order is another one then, and sessions may be named that are not there.
struct session_loader {
    bool empty() const {
        return !on_session && !on_subscription && !on_queued && !on_waiting && !on_received && !on_retained;
    }
    std::function<void(session_record)> on_session;
    std::function<void(subscription_record)> on_subscription;
    queue_reader on_queued;
    std::function<void(waiting_record)> on_waiting; // instead of on_queued
    std::function<void(std::uint64_t session, std::uint16_t packet_id)> on_received;
    std::function<void(std::uint64_t version, const message_record&)> on_retained;
    /// Topics that retain nothing any more, as far as they are known.
    std::function<void(std::uint64_t version, std::string_view topic)> on_cleared;
};

/// The highest numbers in use, so that new ones do not collide.
struct session_counters {
    std::uint64_t session = 0;
    std::uint64_t message = 0;
    std::uint64_t retained_version = 0;
};

class session_store {
  public:
    virtual ~session_store() = default;
    virtual result<session_counters> load(const session_loader& loader) = 0;
    /// After load() with on_waiting, until end_loading(): what was queued at that time, of one session. It may be
    /// called on another thread, and apply() meanwhile, but not by two threads at a time.
    virtual status load_queue(std::uint64_t session, const queue_reader& read) {
        session_loader all;
        all.on_queued = [&](queue_record q, const message_record& m) {
            if (q.session == session) read(std::move(q), m);
        };
        const auto loaded = load(all);
        return loaded ? status(done{}) : loaded.err();
    }
    virtual status end_loading() { return done{}; }
    /// One durable commit for all of them. Operations cannot fail one by one; an error means that nothing was applied.
    virtual status apply(std::span<const session_operation> operations) = 0;
    /// To its files, since it was opened, about. Any thread.
    virtual std::uint64_t written_bytes() const noexcept { return 0; }
};

struct redo_mark {
    std::uint64_t log = 0;     // a random number, made with the database: tells its log from any other
    std::uint64_t applied = 0; // the number of the last segment whose operations are all here; 0: none yet
};

/// A session store that can stand behind a redo log (storage/redo), and remembers how much of it it has.
class checkpointed_store : public session_store {
  public:
    virtual result<redo_mark> redo_state() = 0;
    /// Reads all of it: error_kind::corrupt when it is damaged.
    virtual status verify() { return done{}; }
    /// A part of a segment's operations. They are committed together with the last part, which gives the segment's
    /// number; the others give 0. An error undoes all parts.
    virtual status apply_redo(std::span<const session_operation> operations, std::uint64_t segment) = 0;
    /// Into `file`, which must not exist. Its steps are the caller's, and none between the parts of a segment; what is
    /// committed between them is in the copy. The store must outlive it.
    virtual result<std::unique_ptr<online_copy>> begin_copy(const std::filesystem::path& file) = 0;
};

} // namespace fb::storage
