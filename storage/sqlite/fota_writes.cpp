#include "storage/sqlite/fota_writes.hpp"

#include "storage/audit.hpp"
#include "storage/sqlite/rows.hpp"

namespace fb::storage::sqlite {

namespace {

const std::string open_update_of = "SELECT 1 FROM updates u";
// As the partial index updates_one_open has it.
const std::string update_is_open = "u.state IN ('scheduled', 'pending', 'offered', 'accepted', 'downloading', "
                                   "'downloaded', 'installing', 'verifying')";

template <class Row>
status insert(connection& db, const std::string& sql, const Row& row) {
    query q(db, sql);
    return bind_fields(q, fields(row)).run();
}

/// The id under which the device is stored: that of an older row, when there is one.
result<device_uuid> upsert_device(connection& db, const device& row) {
    static const std::string sql = insert_sql("devices", device_columns) + " ON CONFLICT (device_id) DO UPDATE SET " +
                                   device_update_sql() + " RETURNING id";
    query q(db, sql);
    device_uuid stored = row.id;
    if (bind_fields(q, fields(row)).next()) q >> stored;
    if (auto ran = q.run(); !ran) return ran.err();
    return stored;
}

status insert_update(connection& db, const update& row) {
    static const std::string sql =
        insert_sql("updates", std::string(update_identity_columns) + ", " + std::string(update_changing_columns));
    return insert(db, sql, row);
}

status insert_events(connection& db, const std::vector<update_event>& events) {
    static const std::string sql = insert_sql("update_events", event_columns);
    for (const update_event& event : events) {
        if (auto inserted = insert(db, sql, event); !inserted) return inserted;
    }
    return done{};
}

status change_update(connection& db, const update_change& change) {
    static const std::string sql = "UPDATE updates SET (" + std::string(update_changing_columns) +
                                   ") = " + placeholders(update_changing_columns) +
                                   " WHERE id = ? AND state_version = ? AND state IS NOT NULL";
    if (!change.wanted.state) return error{error_kind::invalid, "updates: a change needs a state"};
    update wanted = change.wanted;
    wanted.state_version = change.expected_version + 1;
    query q(db, sql);
    bind_fields(q, changing_fields(wanted)).with(wanted.id, change.expected_version);
    if (auto ran = q.run(); !ran) return ran;
    if (db.changes() == 0) {
        return error{error_kind::conflict, "updates: " + to_string(wanted.id) + " is not at state_version " +
                                               std::to_string(change.expected_version)};
    }
    return done{};
}

status still_owned(connection& db, const std::optional<ownership>& owner) {
    if (!owner) return done{};
    query q(db, "SELECT 1 FROM devices WHERE device_id = ? AND NOT (gateway_id IS ? AND session_epoch = ?)");
    const bool taken = q.with(owner->device_id, owner->gateway_id, owner->session_epoch).next();
    if (auto ended = q.ended(); !ended) return ended;
    if (taken) return error{error_kind::conflict, "devices: another gateway has " + owner->device_id};
    return done{};
}

status insert_hint(connection& db, const std::optional<hint>& row) {
    static const std::string sql = insert_sql("outbox", hint_columns);
    return row ? insert(db, sql, *row) : status(done{});
}

/// `sql` must change a row, or there is none that it could be about.
template <class... Values>
fota_outcome must_change(connection& db, const char* what, std::string_view sql, const Values&... values) {
    query q(db, sql);
    if (auto ran = q.with(values...).run(); !ran) return ran.err();
    if (db.changes() == 0) return error{error_kind::not_found, what};
    return applied::done;
}

/// Whether the query finds a row.
template <class... Values>
result<bool> finds(connection& db, std::string_view sql, const Values&... values) {
    query q(db, sql);
    const bool found = q.with(values...).next();
    if (auto ended = q.ended(); !ended) return ended.err();
    return found;
}

/// As must_change, for an UPDATE that leaves alone what is so already. `there` finds the row that has `id`.
template <class Id>
fota_outcome changed_or_so(connection& db, const char* what, query& change, std::string_view there, const Id& id) {
    if (auto ran = change.run(); !ran) return ran.err();
    if (db.changes() > 0) return applied::done;
    const auto found = finds(db, there, id);
    if (!found) return found.err();
    if (!*found) return error{error_kind::not_found, what};
    return applied::duplicate;
}

fota_outcome outcome_of(status s) {
    if (!s) return s.err();
    return applied::done;
}

fota_outcome run(connection& db, const record_report& op) {
    if (op.result) {
        if (op.result->event_key.empty()) {
            return error{error_kind::invalid, "update_results: a result needs an event_key"};
        }
        query known(db, "SELECT 1 FROM update_results WHERE event_key = ?");
        if (known.with(op.result->event_key).next()) return applied::duplicate;
        if (auto ended = known.ended(); !ended) return ended.err();
    }
    if (auto owned = still_owned(db, op.owner); !owned) return owned.err();
    std::optional<device_uuid> stored;
    if (op.device_row) {
        auto upserted = upsert_device(db, *op.device_row);
        if (!upserted) return upserted.err();
        stored = *upserted;
    }
    if (op.change) {
        if (auto changed = change_update(db, *op.change); !changed) return changed.err();
    }
    if (op.result) {
        static const std::string sql = insert_sql("update_results", result_columns);
        update_result row = *op.result;
        if (stored && row.device_id == op.device_row->id) row.device_id = *stored;
        if (auto inserted = insert(db, sql, row); !inserted) return inserted.err();
    }
    if (auto told = insert_hint(db, op.tell); !told) return told.err();
    return outcome_of(insert_events(db, op.events));
}

fota_outcome run(connection& db, const create_update& op) {
    for (const update_change& change : op.superseded) {
        if (auto changed = change_update(db, change); !changed) return changed.err();
    }
    if (auto inserted = insert_update(db, op.row); !inserted) return inserted.err();
    if (auto told = insert_hint(db, op.tell); !told) return told.err();
    return outcome_of(insert_events(db, op.events));
}

fota_outcome run(connection& db, const save_firmware& op) {
    static const std::string sql = insert_sql("firmwares", firmware_columns);
    return outcome_of(insert(db, sql, op.row));
}

fota_outcome run(connection& db, const set_firmware_state& op) {
    query change(db, "UPDATE firmwares SET state = ?1 WHERE id = ?2 AND state <> ?1");
    return changed_or_so(db, "firmwares: no such firmware", change.with(op.state, op.id),
                         "SELECT 1 FROM firmwares WHERE id = ? AND state IS NOT NULL", op.id);
}

fota_outcome run(connection& db, const patch_device& op) {
    query change(db,
                 "UPDATE devices SET name = coalesce(?1, name), type = coalesce(?2, type), "
                 "tags = coalesce(?3, tags), name_by_operator = name_by_operator OR ?1 IS NOT NULL, "
                 "type_by_operator = type_by_operator OR ?2 IS NOT NULL WHERE device_id = ?4 AND "
                 "(?1 IS NOT NULL AND (name IS NOT ?1 OR NOT name_by_operator) OR "
                 "?2 IS NOT NULL AND (type IS NOT ?2 OR NOT type_by_operator) OR ?3 IS NOT NULL AND tags IS NOT ?3)");
    auto outcome = changed_or_so(db, "devices: no such device", change.with(op.name, op.type, op.tags, op.device_id),
                                 "SELECT 1 FROM devices WHERE device_id = ?", op.device_id);
    if (!outcome || *outcome != applied::done) return outcome;
    return outcome_of(insert_hint(db, op.tell));
}

fota_outcome run(connection& db, const gateway_started& op) {
    query joined(db, "INSERT INTO gateways (id, name, peer_url, version, started_at, seen_at) VALUES "
                     "(?1, ?2, ?3, ?4, strftime('%Y-%m-%dT%H:%M:%fZ'), strftime('%Y-%m-%dT%H:%M:%fZ')) "
                     "ON CONFLICT (id) DO UPDATE SET name = ?2, peer_url = ?3, version = ?4, "
                     "started_at = excluded.started_at, seen_at = excluded.seen_at");
    if (auto ran = joined.with(op.row.id, op.row.name, op.row.peer_url, op.row.version).run(); !ran) return ran.err();
    query offline(db, op.alone
                          ? "UPDATE devices SET online = 0, session_epoch = session_epoch + (gateway_id IS NOT ?1), "
                            "gateway_id = ?1 WHERE online <> 0 OR gateway_id IS NOT ?1"
                          : "UPDATE devices SET online = 0 WHERE online <> 0 AND gateway_id = ?1");
    return outcome_of(offline.with(op.row.id).run());
}

fota_outcome run(connection& db, const save_token& op) {
    static const std::string sql = insert_sql("api_tokens", token_columns);
    return outcome_of(insert(db, sql, op.row));
}

fota_outcome run(connection& db, const revoke_token& op) {
    query change(db, "UPDATE api_tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL");
    return changed_or_so(db, "api_tokens: no such token", change.with(op.at, op.id),
                         "SELECT 1 FROM api_tokens WHERE id = ?", op.id);
}

fota_outcome run(connection& db, const touch_token& op) {
    return must_change(db, "api_tokens: no such token", "UPDATE api_tokens SET last_used_at = ? WHERE id = ?", op.at,
                       op.id);
}

fota_outcome run(connection& db, const save_idempotency& op) {
    static const std::string sql = insert_sql("idempotency_keys", idempotency_columns);
    return outcome_of(insert(db, sql, op.row));
}

fota_outcome run(connection& db, const prune_idempotency& op) {
    query q(db, "DELETE FROM idempotency_keys WHERE created_at < ?");
    return outcome_of(q.with(op.older_than).run());
}

/// Statements with the same one value, in order.
template <class Value>
status run_all(connection& db, std::initializer_list<std::string_view> statements, const Value& value) {
    for (const std::string_view sql : statements) {
        if (auto ran = query(db, sql).with(value).run(); !ran) return ran;
    }
    return done{};
}

fota_outcome run(connection& db, const delete_device& op) {
    device_uuid id;
    {
        query q(db, "SELECT id FROM devices WHERE device_id = ?");
        const bool found = q.with(op.device_id).next();
        if (found) q >> id;
        if (auto ended = q.ended(); !ended) return ended.err();
        if (!found) return error{error_kind::not_found, "devices: no such device"};
    }
    if (!op.with_open_update) {
        const auto open = finds(db, open_update_of + " WHERE u.device_id = ? AND " + update_is_open, id);
        if (!open) return open.err();
        if (*open) return error{error_kind::conflict, "devices: it has an open update"};
    }
    return outcome_of(run_all(
        db,
        {"DELETE FROM outbox WHERE device_id = ?1 OR update_id IN (SELECT id FROM updates WHERE device_id = ?1)",
         "DELETE FROM update_events WHERE update_id IN (SELECT id FROM updates WHERE device_id = ?)",
         "DELETE FROM update_results WHERE update_id IN (SELECT id FROM updates WHERE device_id = ?)",
         "DELETE FROM update_results WHERE device_id = ?", "DELETE FROM updates WHERE device_id = ?",
         "DELETE FROM devices WHERE id = ?"},
        id));
}

fota_outcome run(connection& db, const delete_firmware& op) {
    const auto there = finds(db, "SELECT 1 FROM firmwares WHERE id = ? AND state IS NOT NULL", op.id);
    if (!there) return there.err();
    if (!*there) return error{error_kind::not_found, "firmwares: no such firmware"};
    for (const std::string& sql : {open_update_of + " WHERE u.firmware_id = ? AND " + update_is_open,
                                   std::string("SELECT 1 FROM rollouts WHERE firmware_id = ? AND state NOT IN "
                                               "('finished', 'aborted')"),
                                   std::string("SELECT 1 FROM firmwares f JOIN devices d ON d.type = f.device_type "
                                               "AND d.firmware_version = f.version WHERE f.id = ?")}) {
        const auto needed = finds(db, sql, op.id);
        if (!needed) return needed.err();
        if (*needed) return error{error_kind::conflict, "firmwares: it is needed"};
    }
    const auto named = finds(db,
                             "SELECT 1 FROM updates WHERE firmware_id = ?1 "
                             "UNION ALL SELECT 1 FROM rollouts WHERE firmware_id = ?1",
                             op.id);
    if (!named) return named.err();
    if (*named) {
        query change(db, "UPDATE firmwares SET state = 'revoked', url = NULL WHERE id = ? "
                         "AND NOT (state = 'revoked' AND url IS NULL)");
        return changed_or_so(db, "firmwares: no such firmware", change.with(op.id),
                             "SELECT 1 FROM firmwares WHERE id = ?", op.id);
    }
    return outcome_of(run_all(
        db, {"DELETE FROM firmware_signatures WHERE firmware_id = ?", "DELETE FROM firmwares WHERE id = ?"}, op.id));
}

fota_outcome run(connection& db, const prune_history& op) {
    for (const result_uuid& id : op.results) {
        if (auto gone = query(db, "DELETE FROM update_results WHERE id = ?").with(id).run(); !gone) return gone.err();
    }
    for (const event_uuid& id : op.events) {
        if (auto gone = query(db, "DELETE FROM update_events WHERE id = ?").with(id).run(); !gone) return gone.err();
    }
    return outcome_of(query(db, "DELETE FROM audit_log WHERE seq < ?").with(op.audit_before).run());
}

status log(connection& db, const audit_entry& entry) {
    static const std::string sql = insert_sql("audit_log", audit_columns);
    std::optional<audit_row> newest;
    {
        query q(db, "SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1");
        if (q.next()) {
            newest.emplace();
            q >> newest->seq >> newest->hash;
        }
        if (auto ended = q.ended(); !ended) return ended;
    }
    return insert(db, sql, audit_row_after(newest, entry));
}

} // namespace

fota_outcome perform(connection& db, const fota_operation& operation) {
    auto outcome = std::visit([&](const auto& op) { return run(db, op); }, operation);
    if (const auto* entry = audit_due(operation, outcome)) {
        if (auto logged = log(db, *entry); !logged) return logged.err();
    }
    return outcome;
}

} // namespace fb::storage::sqlite
