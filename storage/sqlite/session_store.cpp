// state.db: one commit per batch of session operations; unused messages go at the end of the batch that let go of them.
#include "storage/session_store.hpp"

#include <algorithm>

#include "storage/sqlite/integrity.hpp"
#include "storage/sqlite/online_copy.hpp"
#include "storage/sqlite/query.hpp"
#include "storage/sqlite/session_store.hpp"

namespace fb::storage::sqlite {

namespace {

// Cleared retained topics keep a row against late, older writes. A writer can only be late by what lies between a
// shard and this store, far less than `late_writes_max` versions; older rows are swept after so many clearings.
constexpr int sweep_after_clearings = 4096;
constexpr std::uint64_t late_writes_max = 1'000'000;

std::string packed(const std::vector<std::uint32_t>& ids) {
    std::string out;
    for (const std::uint32_t id : ids) {
        for (int shift = 0; shift < 32; shift += 8) out += char(id >> shift);
    }
    return out;
}

std::vector<std::uint32_t> unpacked(std::string_view bytes) {
    std::vector<std::uint32_t> ids(bytes.size() / 4);
    for (std::size_t i = 0; i < ids.size() * 4; ++i) {
        ids[i / 4] |= std::uint32_t(static_cast<unsigned char>(bytes[i])) << (8 * (i % 4));
    }
    return ids;
}

class sqlite_session_store final : public checkpointed_store {
  public:
    explicit sqlite_session_store(std::unique_ptr<connection> db)
        : db_(std::move(db)) {}

    result<session_counters> load(const session_loader& loader) override;
    status load_queue(std::uint64_t session, const queue_reader& read) override;
    status end_loading() override { return remove_orphans(); }
    status verify() override { return quick_check(*db_, "1"); }

    status apply(std::span<const session_operation> operations) override {
        auto applied = perform_all(operations);
        if (applied) applied = run("COMMIT");
        return or_undo(std::move(applied));
    }

    std::uint64_t written_bytes() const noexcept override { return db_->written_bytes(); }

    result<redo_mark> redo_state() override {
        query q(*db_, "SELECT log, applied FROM redo");
        redo_mark mark;
        if (q.next()) q >> mark.log >> mark.applied;
        if (auto ended = q.ended(); !ended) return ended.err();
        return mark;
    }

    status apply_redo(std::span<const session_operation> operations, std::uint64_t segment) override {
        auto applied = perform_all(operations);
        if (applied && segment != 0) {
            applied = run("UPDATE redo SET applied = ?", segment);
            if (applied) applied = run("COMMIT");
            if (applied)
                applied = db_->exec("PRAGMA shrink_memory"); // the next segment is minutes away, or never comes
        }
        return or_undo(std::move(applied));
    }

    result<std::unique_ptr<online_copy>> begin_copy(const std::filesystem::path& file) override {
        return sqlite::begin_copy(*db_, file);
    }

  private:
    template <class... Values>
    status run(std::string_view sql, const Values&... values) {
        return query(*db_, sql).with(values...).run();
    }

    status or_undo(status applied) {
        if (!applied) db_->rollback();
        released_.clear();
        return applied;
    }

    /// In the transaction that is open, or in a new one.
    status perform_all(std::span<const session_operation> operations) {
        if (!db_->in_transaction()) {
            if (auto begun = run("BEGIN IMMEDIATE"); !begun) return begun;
        }
        for (const session_operation& operation : operations) {
            auto performed = std::visit([this](const auto& op) { return perform(op); }, operation);
            if (!performed) return performed;
        }
        return remove_unused_messages();
    }

    status perform(const put_session& op);
    status perform(const delete_session& op);
    status perform(const put_subscription& op);
    status perform(const delete_subscription& op);
    status perform(const enqueue& op);
    status perform(const set_delivery& op);
    status perform(const dequeue& op);
    status perform(const put_received& op);
    status perform(const delete_received& op);
    status perform(const put_retained& op);

    status keep_message(const message_record& m);
    /// Remembers the messages that `sql` gives as perhaps unused.
    template <class... Values>
    status release(std::string_view sql, const Values&... values);
    status remove_unused_messages();

    status remove_orphans();
    result<session_counters> read_counters();
    result<std::vector<std::uint64_t>> load_sessions(const session_loader& loader);
    status load_session(const session_loader& loader, std::uint64_t number);
    status count_queue(const session_loader& loader, std::uint64_t number);
    status load_retained(const session_loader& loader);

    std::unique_ptr<connection> db_;
    std::vector<std::uint64_t> released_; // message ids that lost a reference in this batch
    int clearings_ = 0;                   // since the last sweep
};

status sqlite_session_store::keep_message(const message_record& m) {
    return run("INSERT OR IGNORE INTO messages (id, topic, payload, properties, quality, expires_at, publisher) "
               "VALUES (?, ?, ?, ?, ?, ?, ?)",
               m.id, m.topic, blob{m.payload}, blob{m.properties}, m.quality, m.expires_at, m.publisher);
}

template <class... Values>
status sqlite_session_store::release(std::string_view sql, const Values&... values) {
    query q(*db_, sql);
    q.with(values...);
    while (q.next()) {
        std::uint64_t message = 0;
        q >> message;
        if (message != 0) released_.push_back(message);
    }
    return q.ended();
}

status sqlite_session_store::remove_unused_messages() {
    std::sort(released_.begin(), released_.end());
    released_.erase(std::unique(released_.begin(), released_.end()), released_.end());
    for (const std::uint64_t id : released_) {
        auto removed = run("DELETE FROM messages WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM queue WHERE message = ?1) "
                           "AND NOT EXISTS (SELECT 1 FROM retained WHERE message = ?1) "
                           "AND NOT EXISTS (SELECT 1 FROM sessions WHERE will = ?1 AND will <> 0)",
                           id);
        if (!removed) return removed;
    }
    return done{};
}

status sqlite_session_store::perform(const put_session& op) {
    const session_record& s = op.row;
    std::vector<std::uint64_t> older;
    {
        query q(*db_, "SELECT number FROM sessions WHERE client_id = ? AND number <> ?");
        q.with(s.client_id, s.number);
        while (q.next()) q >> older.emplace_back();
        if (auto ended = q.ended(); !ended) return ended;
    }
    for (const std::uint64_t number : older) {
        if (auto gone = perform(delete_session{number}); !gone) return gone;
    }
    if (auto let_go = release("SELECT will FROM sessions WHERE number = ?", s.number); !let_go) return let_go;
    if (s.will && s.will->id != 0) {
        if (auto kept = keep_message(*s.will); !kept) return kept;
    }
    return run("INSERT OR REPLACE INTO sessions (number, client_id, principal, protocol, expiry_s, ended_at, will, "
               "will_retain, will_delay_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
               s.number, s.client_id, s.principal, s.protocol, s.expiry_s, s.ended_at,
               s.will ? s.will->id : std::uint64_t(0), s.will_retain, s.will_delay_s);
}

status sqlite_session_store::perform(const delete_session& op) {
    for (const char* sql : {"DELETE FROM queue WHERE session = ? RETURNING message",
                            "DELETE FROM sessions WHERE number = ? RETURNING will"}) {
        if (auto gone = release(sql, op.number); !gone) return gone;
    }
    if (auto gone = run("DELETE FROM subscriptions WHERE session = ?", op.number); !gone) return gone;
    return run("DELETE FROM received WHERE session = ?", op.number);
}

status sqlite_session_store::perform(const put_subscription& op) {
    return run("INSERT OR REPLACE INTO subscriptions (session, filter, options, subscription_id) VALUES (?, ?, ?, ?)",
               op.row.session, op.row.filter, op.row.options, op.row.subscription_id);
}

status sqlite_session_store::perform(const delete_subscription& op) {
    return run("DELETE FROM subscriptions WHERE session = ? AND filter = ?", op.session, op.filter);
}

status sqlite_session_store::perform(const enqueue& op) {
    const queue_record& r = op.row;
    if (auto kept = keep_message(op.message); !kept) return kept;
    const std::string ids = packed(r.subscription_ids);
    return run("INSERT OR REPLACE INTO queue (session, sequence, message, quality, retain, packet_id, state, "
               "subscription_ids) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
               r.session, r.sequence, r.message, r.quality, r.retain, r.packet_id, static_cast<std::uint8_t>(r.state),
               blob{ids});
}

status sqlite_session_store::perform(const set_delivery& op) {
    return run("UPDATE queue SET packet_id = ?, state = ? WHERE session = ? AND sequence = ?", op.packet_id,
               static_cast<std::uint8_t>(op.state), op.session, op.sequence);
}

status sqlite_session_store::perform(const dequeue& op) {
    return release("DELETE FROM queue WHERE session = ? AND sequence = ? RETURNING message", op.session, op.sequence);
}

status sqlite_session_store::perform(const put_received& op) {
    return run("INSERT OR IGNORE INTO received (session, packet_id) VALUES (?, ?)", op.session, op.packet_id);
}

status sqlite_session_store::perform(const delete_received& op) {
    return run("DELETE FROM received WHERE session = ? AND packet_id = ?", op.session, op.packet_id);
}

status sqlite_session_store::perform(const put_retained& op) {
    {
        query q(*db_, "SELECT version, message FROM retained WHERE topic = ?");
        std::uint64_t version = 0, message = 0;
        if (q.with(op.topic).next()) {
            q >> version >> message;
            if (op.version < version) return done{};
            if (message != 0) released_.push_back(message);
        }
        if (auto ended = q.ended(); !ended) return ended;
    }
    if (op.message.id != 0) {
        if (auto kept = keep_message(op.message); !kept) return kept;
    }
    auto put = run("INSERT INTO retained (topic, version, message) VALUES (?, ?, ?) "
                   "ON CONFLICT (topic) DO UPDATE SET version = excluded.version, message = excluded.message",
                   op.topic, op.version, op.message.id);
    if (!put || op.message.id != 0 || ++clearings_ < sweep_after_clearings) return put;
    clearings_ = 0;
    return run("DELETE FROM retained WHERE message = 0 AND version + ? < ?", late_writes_max, op.version);
}

/// What refers to nothing: rows of sessions that are not there, messages nobody needs, topics cleared before the start.
status sqlite_session_store::remove_orphans() {
    auto removed = db_->exec("BEGIN IMMEDIATE;"
                             "DELETE FROM subscriptions WHERE session NOT IN (SELECT number FROM sessions);"
                             "DELETE FROM queue WHERE session NOT IN (SELECT number FROM sessions);"
                             "DELETE FROM received WHERE session NOT IN (SELECT number FROM sessions);"
                             "DELETE FROM retained WHERE message = 0;"
                             "DELETE FROM messages WHERE id NOT IN (SELECT message FROM queue) "
                             "AND id NOT IN (SELECT message FROM retained) AND id NOT IN (SELECT will FROM sessions);"
                             "COMMIT;");
    if (!removed) db_->rollback();
    return removed;
}

result<session_counters> sqlite_session_store::read_counters() {
    query q(*db_,
            "SELECT coalesce((SELECT max(number) FROM sessions), 0), coalesce((SELECT max(id) FROM messages), 0), "
            "coalesce((SELECT max(version) FROM retained), 0)");
    session_counters counters;
    if (q.next()) q >> counters.session >> counters.message >> counters.retained_version;
    if (auto ended = q.ended(); !ended) return ended.err();
    return counters;
}

void read_message(query& q, message_record& m, int first_column) {
    q >> m.id;
    m.topic = q.view(first_column + 1);
    m.payload = q.view(first_column + 2);
    m.properties = q.view(first_column + 3);
    m.publisher = static_cast<std::uint64_t>(q.integer_at(first_column + 4));
}

result<std::vector<std::uint64_t>> sqlite_session_store::load_sessions(const session_loader& loader) {
    query q(*db_, "SELECT s.number, s.client_id, s.principal, s.protocol, s.expiry_s, s.ended_at, s.will_retain, "
                  "s.will_delay_s, m.quality, m.expires_at, m.id, m.topic, m.payload, m.properties, m.publisher "
                  "FROM sessions s LEFT JOIN messages m ON m.id = s.will ORDER BY s.number");
    std::vector<std::uint64_t> numbers;
    while (q.next()) {
        session_record s;
        message_record will;
        q >> s.number >> s.client_id >> s.principal >> s.protocol >> s.expiry_s >> s.ended_at >> s.will_retain >>
            s.will_delay_s >> will.quality >> will.expires_at;
        read_message(q, will, 10);
        if (will.id != 0) s.will = will;
        numbers.push_back(s.number);
        if (loader.on_session) loader.on_session(std::move(s));
    }
    if (auto ended = q.ended(); !ended) return ended.err();
    return numbers;
}

status sqlite_session_store::load_session(const session_loader& loader, std::uint64_t number) {
    query subscriptions(*db_, "SELECT session, filter, options, subscription_id FROM subscriptions WHERE session = ?");
    subscriptions.with(number);
    while (subscriptions.next()) {
        subscription_record s;
        subscriptions >> s.session >> s.filter >> s.options >> s.subscription_id;
        if (loader.on_subscription) loader.on_subscription(std::move(s));
    }
    if (auto ended = subscriptions.ended(); !ended) return ended;

    if (loader.on_waiting) {
        if (auto counted = count_queue(loader, number); !counted) return counted;
    } else if (loader.on_queued) {
        if (auto read = load_queue(number, loader.on_queued); !read) return read;
    }

    query received(*db_, "SELECT packet_id FROM received WHERE session = ?");
    received.with(number);
    while (received.next()) {
        std::uint16_t packet_id = 0;
        received >> packet_id;
        if (loader.on_received) loader.on_received(number, packet_id);
    }
    return received.ended();
}

status sqlite_session_store::count_queue(const session_loader& loader, std::uint64_t number) {
    query q(*db_, "SELECT coalesce(max(sequence), 0), count(*) FROM queue WHERE session = ?");
    waiting_record w;
    w.session = number;
    if (q.with(number).next()) q >> w.last_sequence >> w.messages;
    if (auto ended = q.ended(); !ended) return ended;
    if (w.messages != 0) loader.on_waiting(w);
    return done{};
}

status sqlite_session_store::load_queue(std::uint64_t number, const queue_reader& read) {
    query queued(*db_, "SELECT q.session, q.sequence, q.message, q.quality, q.retain, q.packet_id, q.state, "
                       "m.quality, m.expires_at, m.id, m.topic, m.payload, m.properties, m.publisher, "
                       "q.subscription_ids FROM queue q JOIN messages m ON m.id = q.message "
                       "WHERE q.session = ? ORDER BY q.sequence");
    queued.with(number);
    while (queued.next()) {
        queue_record r;
        message_record m;
        std::uint8_t state = 0;
        queued >> r.session >> r.sequence >> r.message >> r.quality >> r.retain >> r.packet_id >> state >> m.quality >>
            m.expires_at;
        read_message(queued, m, 9);
        r.state = static_cast<delivery_state>(state);
        r.subscription_ids = unpacked(queued.view(14));
        read(std::move(r), m);
    }
    return queued.ended();
}

status sqlite_session_store::load_retained(const session_loader& loader) {
    if (loader.on_cleared) {
        query cleared(*db_, "SELECT version, topic FROM retained WHERE message = 0");
        while (cleared.next()) {
            std::uint64_t version = 0;
            cleared >> version;
            loader.on_cleared(version, cleared.view(1));
        }
        if (auto ended = cleared.ended(); !ended) return ended;
    }
    query q(*db_, "SELECT r.version, m.quality, m.expires_at, m.id, m.topic, m.payload, m.properties, m.publisher "
                  "FROM retained r JOIN messages m ON m.id = r.message ORDER BY r.topic");
    while (q.next()) {
        std::uint64_t version = 0;
        message_record m;
        q >> version >> m.quality >> m.expires_at;
        read_message(q, m, 3);
        if (loader.on_retained) loader.on_retained(version, m);
    }
    return q.ended();
}

result<session_counters> sqlite_session_store::load(const session_loader& loader) {
    auto counters = read_counters(); // first: cleared topics count too
    if (!counters || loader.empty()) return counters;
    if (!loader.on_waiting) {
        if (auto removed = remove_orphans(); !removed) return removed.err();
    }
    const auto numbers = load_sessions(loader);
    if (!numbers) return numbers.err();
    for (const std::uint64_t number : *numbers) {
        if (auto loaded = load_session(loader, number); !loaded) return loaded.err();
    }
    if (auto loaded = load_retained(loader); !loaded) return loaded.err();
    return counters;
}

} // namespace

std::unique_ptr<checkpointed_store> make_session_store(std::unique_ptr<connection> db) {
    return std::make_unique<sqlite_session_store>(std::move(db));
}

} // namespace fb::storage::sqlite
