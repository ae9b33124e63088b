#include "storage/postgres/fota_writes.hpp"

#include <charconv>

#include "storage/postgres/report_batch.hpp"
#include "storage/postgres/row_set.hpp"

namespace fb::storage::postgres {

namespace {

// ------------------------------------------------------------------------------------------------ faults

bool text_fits(const std::string& text) { return storable(text); }
bool text_fits(const std::optional<std::string>& text) { return !text || storable(*text); }
template <class T>
bool text_fits(const T&) {
    return true;
}

template <class Row>
bool row_fits(const Row& row) {
    return std::apply([](const auto&... member) { return (text_fits(member) && ...); }, fields(row));
}
template <class Row>
bool row_fits(const std::optional<Row>& row) {
    return !row || row_fits(*row);
}
template <class Row>
bool row_fits(const std::vector<Row>& rows) {
    for (const Row& row : rows)
        if (!row_fits(row)) return false;
    return true;
}

std::optional<error> change_fault(const update_change& change) {
    if (!change.wanted.state) return error{error_kind::invalid, "updates: a change needs a state"};
    if (!row_fits(change.wanted)) return not_storable();
    return std::nullopt;
}

std::optional<error> fault_in(const record_report& op) {
    if (op.result && op.result->event_key.empty())
        return error{error_kind::invalid, "update_results: a result needs an event_key"};
    if (!row_fits(op.device_row) || !row_fits(op.result) || !row_fits(op.events)) return not_storable();
    return op.change ? change_fault(*op.change) : std::nullopt;
}

std::optional<error> fault_in(const create_update& op) {
    for (const update_change& change : op.superseded)
        if (auto fault = change_fault(change)) return fault;
    if (!row_fits(op.row) || !row_fits(op.events)) return not_storable();
    return std::nullopt;
}

std::optional<error> fault_in(const patch_device& op) {
    if (text_fits(op.device_id) && text_fits(op.name) && text_fits(op.type) && text_fits(op.tags)) return std::nullopt;
    return not_storable();
}

std::optional<error> fault_in(const delete_device& op) {
    if (text_fits(op.device_id)) return std::nullopt;
    return not_storable();
}

/// Of what is to be logged with an operation.
template <class Operation>
std::optional<error> audit_fault(const Operation& op) {
    if constexpr (requires { op.audit; })
        if (!row_fits(op.audit)) return not_storable();
    return std::nullopt;
}

template <class Operation>
std::optional<error> fault_in(const Operation& op) {
    if constexpr (requires { op.row; })
        if (!row_fits(op.row)) return not_storable();
    return std::nullopt;
}

// ------------------------------------------------------------------------------------------------ statements

/// A statement that changes one row or says the word.
std::string one_write(const std::string& write, const char* otherwise) {
    return "WITH w AS (" + write + " RETURNING 1) SELECT 0, CASE WHEN EXISTS (SELECT FROM w) THEN 'done' ELSE '" +
           otherwise + "' END";
}

/// An UPDATE that leaves alone what is so already, and what finds the row that it is about.
std::string change_sql(const std::string& change, const std::string& there) {
    return "WITH w AS (" + change + " RETURNING 1) SELECT 0, CASE WHEN EXISTS (SELECT FROM w) THEN 'done' " +
           "WHEN EXISTS (" + there + ") THEN 'duplicate' ELSE 'not_found' END";
}

std::string insert_sql(const std::string& table, std::string_view columns, const std::vector<const char*>& types) {
    std::string values;
    for (std::size_t i = 0; i < types.size(); ++i)
        values += (i == 0 ? "$" : ", $") + std::to_string(i + 1) + "::" + types[i];
    return one_write("INSERT INTO " + table + " (" + std::string(columns) + ") VALUES (" + values +
                         ") ON CONFLICT DO NOTHING",
                     "conflict");
}

std::string hints_cte(int& last) {
    const hint h;
    return rows_cte("t", std::string(hint_columns), types_of({}, fields(h)), last);
}

row_set hint_rows(const std::optional<hint>& row) {
    row_set out(split_columns(hint_columns).size());
    if (row) out.add(fields(*row));
    return out;
}

template <class... Members>
std::vector<parameter> parameters_of(const std::tuple<Members&...>& members) {
    return std::apply([](const auto&... member) { return std::vector<parameter>{to_parameter(member)...}; }, members);
}

template <class Row>
command insertion(const std::string& sql, const Row& row) {
    return {sql, parameters_of(fields(row))};
}

command command_for(const save_firmware& op) {
    static const std::string sql = insert_sql("firmwares", firmware_columns, type_names(fields(op.row)));
    return insertion(sql, op.row);
}

command command_for(const save_token& op) {
    static const std::string sql = insert_sql("api_tokens", token_columns, type_names(fields(op.row)));
    return insertion(sql, op.row);
}

command command_for(const save_idempotency& op) {
    static const std::string sql = insert_sql("idempotency_keys", idempotency_columns, type_names(fields(op.row)));
    return insertion(sql, op.row);
}

command command_for(const set_firmware_state& op) {
    static const std::string sql =
        change_sql("UPDATE firmwares SET state = $1::text WHERE id = $2::uuid AND state <> $1::text",
                   "SELECT FROM firmwares WHERE id = $2::uuid AND state IS NOT NULL");
    return {sql, {to_parameter(op.state), to_parameter(op.id)}};
}

command command_for(const patch_device& op) {
    int last = 4;
    static const std::string sql =
        "WITH " + hints_cte(last) +
        ", w AS (UPDATE devices SET name = coalesce($1::text, name), type = coalesce($2::text, type), "
        "tags = coalesce($3::text, tags), name_by_operator = name_by_operator OR $1::text IS NOT NULL, "
        "type_by_operator = type_by_operator OR $2::text IS NOT NULL WHERE device_id = $4::text AND "
        "($1::text IS NOT NULL AND (name IS DISTINCT FROM $1::text OR NOT name_by_operator) OR "
        "$2::text IS NOT NULL AND (type IS DISTINCT FROM $2::text OR NOT type_by_operator) OR "
        "$3::text IS NOT NULL AND tags IS DISTINCT FROM $3::text) RETURNING 1), "
        "told AS (INSERT INTO outbox (" +
        std::string(hint_columns) + ") SELECT " + qualified("t", hint_columns) +
        " FROM t, w) SELECT 0, CASE WHEN EXISTS (SELECT FROM w) THEN 'done' WHEN EXISTS "
        "(SELECT FROM devices WHERE device_id = $4::text) THEN 'duplicate' ELSE 'not_found' END";
    command out{sql, {to_parameter(op.name), to_parameter(op.type), to_parameter(op.tags), op.device_id}};
    hint_rows(op.tell).move_to(out.values);
    return out;
}

command command_for(const gateway_started& op) {
    static const std::string sql =
        "WITH g AS (INSERT INTO gateways (id, name, peer_url, version, started_at, seen_at) "
        "VALUES ($1::uuid, $2::text, $3::text, $4::text, now(), now()) ON CONFLICT (id) DO UPDATE SET "
        "name = excluded.name, peer_url = excluded.peer_url, version = excluded.version, "
        "started_at = excluded.started_at, seen_at = excluded.seen_at RETURNING id), "
        "d AS (UPDATE devices SET online = false, gateway_id = $1::uuid, session_epoch = session_epoch + "
        "(gateway_id IS DISTINCT FROM $1::uuid)::integer WHERE gateway_id = $1::uuid AND online OR "
        "$5::boolean AND gateway_id IS DISTINCT FROM $1::uuid) SELECT 0, 'done' FROM g";
    return {sql,
            {to_parameter(op.row.id), op.row.name, to_parameter(op.row.peer_url), to_parameter(op.row.version),
             to_parameter(op.alone)}};
}

command command_for(const revoke_token& op) {
    static const std::string sql =
        change_sql("UPDATE api_tokens SET revoked_at = $1::timestamptz WHERE id = $2::uuid AND revoked_at IS NULL",
                   "SELECT FROM api_tokens WHERE id = $2::uuid");
    return {sql, {to_parameter(op.at), to_parameter(op.id)}};
}

command command_for(const touch_token& op) {
    static const std::string sql =
        one_write("UPDATE api_tokens SET last_used_at = $1::timestamptz WHERE id = $2::uuid", "not_found");
    return {sql, {to_parameter(op.at), to_parameter(op.id)}};
}

command command_for(const prune_idempotency& op) {
    static const std::string sql = one_write("DELETE FROM idempotency_keys WHERE created_at < $1::timestamptz", "done");
    return {sql, {to_parameter(op.older_than)}};
}

// References are looked at when the statement is done, so the order of its deletions does not matter. The device's row
// is locked first: who would add a row about it waits, and then finds that it is gone.
command command_for(const delete_device& op) {
    static const std::string sql =
        "WITH d AS MATERIALIZED (SELECT id FROM devices WHERE device_id = $1::text FOR UPDATE), "
        "kept AS MATERIALIZED (SELECT u.id FROM updates u JOIN d ON u.device_id = d.id WHERE NOT $2::boolean "
        "AND u.state IN " +
        std::string(open_states) +
        "), gone AS MATERIALIZED (SELECT id FROM d WHERE NOT EXISTS (SELECT FROM kept)), "
        "u AS (DELETE FROM updates WHERE device_id IN (SELECT id FROM gone) RETURNING id), "
        "o AS (DELETE FROM outbox WHERE device_id IN (SELECT id FROM gone) OR update_id IN (SELECT id FROM u)), "
        "e AS (DELETE FROM update_events WHERE update_id IN (SELECT id FROM u)), "
        "r AS (DELETE FROM update_results WHERE device_id IN (SELECT id FROM gone) "
        "OR update_id IN (SELECT id FROM u)), "
        "w AS (DELETE FROM devices WHERE id IN (SELECT id FROM gone)) "
        "SELECT 0, CASE WHEN NOT EXISTS (SELECT FROM d) THEN 'not_found' "
        "WHEN EXISTS (SELECT FROM gone) THEN 'done' ELSE 'conflict' END";
    return {sql, {op.device_id, to_parameter(op.with_open_update)}};
}

command command_for(const delete_firmware& op) {
    static const std::string sql =
        "WITH f AS MATERIALIZED (SELECT id, device_type, version FROM firmwares WHERE id = $1::uuid "
        "AND state IS NOT NULL FOR UPDATE), "
        "kept AS MATERIALIZED (SELECT f.id FROM f WHERE EXISTS (SELECT FROM updates u WHERE u.firmware_id = f.id "
        "AND u.state IN " +
        std::string(open_states) +
        ") OR EXISTS (SELECT FROM rollouts r WHERE r.firmware_id = f.id AND r.state NOT IN ('finished', 'aborted')) "
        "OR EXISTS (SELECT FROM devices d WHERE d.type = f.device_type AND d.firmware_version = f.version)), "
        "named AS MATERIALIZED (SELECT f.id FROM f WHERE EXISTS (SELECT FROM updates u WHERE u.firmware_id = f.id) "
        "OR EXISTS (SELECT FROM rollouts r WHERE r.firmware_id = f.id)), "
        "gone AS MATERIALIZED (SELECT id FROM f EXCEPT SELECT id FROM kept EXCEPT SELECT id FROM named), "
        "s AS (DELETE FROM firmware_signatures WHERE firmware_id IN (SELECT id FROM gone)), "
        "w AS (DELETE FROM firmwares WHERE id IN (SELECT id FROM gone)), "
        "v AS (UPDATE firmwares SET state = 'revoked', url = NULL WHERE id IN "
        "(SELECT id FROM named EXCEPT SELECT id FROM kept) AND NOT (state = 'revoked' AND url IS NULL) RETURNING 1) "
        "SELECT 0, CASE WHEN NOT EXISTS (SELECT FROM f) THEN 'not_found' "
        "WHEN EXISTS (SELECT FROM kept) THEN 'conflict' "
        "WHEN EXISTS (SELECT FROM gone) OR EXISTS (SELECT FROM v) THEN 'done' ELSE 'duplicate' END";
    return {sql, {to_parameter(op.id)}};
}

/// Those that another gateway deletes at this moment are left to it.
command command_for(const prune_history& op) {
    static const std::string sql = "WITH r AS (DELETE FROM update_results WHERE id IN (SELECT id FROM update_results "
                                   "WHERE id = ANY ($1::uuid[]) FOR UPDATE SKIP LOCKED)), "
                                   "e AS (DELETE FROM update_events WHERE id IN (SELECT id FROM update_events "
                                   "WHERE id = ANY ($2::uuid[]) FOR UPDATE SKIP LOCKED)), "
                                   "a AS (DELETE FROM audit_log WHERE seq < $3::bigint) SELECT 0, 'done'";
    row_set results(1);
    row_set events(1);
    for (const result_uuid& id : op.results) results.add_row({to_parameter(id)});
    for (const event_uuid& id : op.events) events.add_row({to_parameter(id)});
    command out{sql, {}};
    results.move_to(out.values);
    events.move_to(out.values);
    out.values.push_back(to_parameter(op.audit_before));
    return out;
}

const std::string changing_of_update(update_changing_columns);
const std::string superseded_columns = "expected_version, id, " + changing_of_update;
const std::string created_columns = std::string(update_identity_columns) + ", " + changing_of_update;

// The superseded rows are locked before anything is decided; the new one is inserted after they were changed, because
// it reads from their change: the unique index on open updates is never in the way of what is right. Looks into tables
// are as in report_batch.cpp.
std::string create_sql() {
    const update row;
    const update_event event;
    int last = 0;
    std::string out = "WITH " + rows_cte("n", created_columns, types_of({}, fields(row)), last);
    out += ", " + rows_cte("c", superseded_columns, types_of({"bigint", "uuid"}, changing_fields(row)), last);
    out += ", " + rows_cte("e", std::string(event_columns), types_of({}, fields(event)), last);
    out += ", " + hints_cte(last);
    return out +
           ", held AS MATERIALIZED (SELECT w.id FROM (SELECT c.* FROM c ORDER BY c.id) w CROSS JOIN LATERAL "
           "(SELECT FROM updates u WHERE u.id = w.id AND u.state_version = w.expected_version AND u.state IS NOT NULL "
           "FOR NO KEY UPDATE) u)"
           ", fit AS MATERIALIZED (SELECT n.id FROM n WHERE (SELECT count(*) FROM held) = (SELECT count(*) FROM c) "
           "AND NOT EXISTS (SELECT FROM updates x WHERE x.id = n.id OFFSET 0) "
           "AND NOT (n.state IS NOT NULL AND n.state IN " +
           open_states + " AND EXISTS (SELECT FROM updates x WHERE x.device_id = n.device_id AND x.state IN " +
           open_states +
           " AND x.id NOT IN (SELECT id FROM c) OFFSET 0)))"
           ", chg AS (INSERT INTO updates (id, " +
           changing_of_update + ") SELECT c.id, " + qualified("c", changing_of_update) +
           " FROM c, fit ON CONFLICT (id) DO UPDATE SET " + excluded_sql(changing_of_update, "", "") +
           " RETURNING id), made AS (INSERT INTO updates (" + created_columns + ") SELECT " +
           qualified("n", created_columns) +
           " FROM n JOIN fit ON fit.id = n.id WHERE (SELECT count(*) FROM chg) >= 0)"
           ", ev AS (INSERT INTO update_events (" +
           std::string(event_columns) + ") SELECT " + qualified("e", event_columns) +
           " FROM e, fit), told AS (INSERT INTO outbox (" + std::string(hint_columns) + ") SELECT " +
           qualified("t", hint_columns) +
           " FROM t, fit) SELECT 0, CASE WHEN EXISTS (SELECT FROM fit) THEN 'done' ELSE 'conflict' END";
}

command command_for(const create_update& op) {
    static const std::string sql = create_sql();
    row_set created(split_columns(created_columns).size());
    row_set superseded(split_columns(superseded_columns).size());
    row_set events(split_columns(event_columns).size());
    created.add(fields(op.row));
    for (const update_change& change : op.superseded) {
        update wanted = change.wanted;
        wanted.state_version = change.expected_version + 1;
        superseded.add(changing_fields(wanted), change.expected_version, wanted.id);
    }
    for (const update_event& event : op.events) events.add(fields(event));
    command out{sql, {}};
    for (row_set* set : {&created, &superseded, &events}) set->move_to(out.values);
    hint_rows(op.tell).move_to(out.values);
    return out;
}

// ------------------------------------------------------------------------------------------------ outcomes

struct explain {
    const char* operator()(const record_report&) const {
        return "not at that state_version or session_epoch, or the device has another open update";
    }
    const char* operator()(const create_update&) const {
        return "updates: the id exists, the device has an open update, or one to supersede has changed";
    }
    const char* operator()(const save_firmware&) const { return "firmwares: the id or version exists"; }
    const char* operator()(const set_firmware_state&) const { return "firmwares: no such firmware"; }
    const char* operator()(const patch_device&) const { return "devices: no such device"; }
    const char* operator()(const delete_device&) const { return "devices: no such device, or it has an open update"; }
    const char* operator()(const delete_firmware&) const { return "firmwares: no such firmware, or it is needed"; }
    const char* operator()(const save_token&) const { return "api_tokens: the name or token exists"; }
    const char* operator()(const revoke_token&) const { return "api_tokens: no such token"; }
    const char* operator()(const touch_token&) const { return "api_tokens: no such token"; }
    const char* operator()(const save_idempotency&) const { return "idempotency_keys: the key exists"; }
    template <class Operation>
    const char* operator()(const Operation&) const {
        return "not done";
    }
};

fota_outcome outcome_of(std::string_view word, const fota_operation& operation) {
    if (word == "done") return applied::done;
    if (word == "duplicate") return applied::duplicate;
    const error_kind kind = word == "not_found" ? error_kind::not_found : error_kind::conflict;
    return error{kind, std::visit(explain{}, operation)};
}

} // namespace

std::optional<error> fault_of(const fota_operation& operation) {
    return std::visit(
        [](const auto& op) {
            auto fault = fault_in(op);
            return fault ? fault : audit_fault(op);
        },
        operation);
}

std::vector<work> plan(std::span<const fota_operation> operations,
                       const std::vector<std::optional<fota_outcome>>& known) {
    std::vector<work> out;
    report_batch reports;
    for (std::size_t place = 0; place < operations.size(); ++place) {
        if (known[place]) continue;
        std::visit(
            [&](const auto& op) {
                if constexpr (std::is_same_v<std::decay_t<decltype(op)>, record_report>) {
                    reports.add(place, op);
                } else {
                    reports.move_to(out); // in their order
                    out.push_back({command_for(op), {place}});
                }
            },
            operations[place]);
    }
    reports.move_to(out);
    return out;
}

void read_outcomes(const work& w, const rows& answer, std::span<const fota_operation> operations,
                   std::vector<std::optional<fota_outcome>>& outcomes) {
    for (int row = 0; row < answer.count(); ++row) {
        std::size_t ordinal = 0;
        const std::string_view number = answer.at(row, 0).value_or("");
        std::from_chars(number.data(), number.data() + number.size(), ordinal);
        const std::size_t place = w.operations.at(ordinal);
        outcomes[place] = outcome_of(answer.at(row, 1).value_or(""), operations[place]);
    }
}

} // namespace fb::storage::postgres
