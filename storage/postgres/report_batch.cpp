#include "storage/postgres/report_batch.hpp"

#include <algorithm>

namespace fb::storage::postgres {

namespace {

const std::string report_changing_columns(update_changing_columns);
const std::string report_device_columns = "op, " + std::string(device_columns);
const std::string report_change_columns = "op, expected_version, id, " + report_changing_columns;
const std::string report_result_columns = "op, " + std::string(result_columns);
const std::string report_event_columns = "op, " + std::string(event_columns);
const std::string report_owner_columns = "op, device_id, gateway_id, session_epoch";
const std::string report_hint_columns = "op, " + std::string(hint_columns);

std::string inserted_result_columns() {
    std::string out = qualified("r", result_columns);
    const std::string told = "r.device_id";
    return out.replace(out.find(told), told.size(), "coalesce(dev.id, r.device_id)");
}

/// The rows of a round, in the order of the parameters.
std::string given_rows() {
    const device d;
    const update u;
    const update_result r;
    const update_event e;
    const hint t;
    int last = 1; // $1: how many operations
    std::string out = rows_cte("d", report_device_columns, types_of({"integer"}, fields(d)), last);
    out +=
        ", " + rows_cte("c", report_change_columns, types_of({"integer", "bigint", "uuid"}, changing_fields(u)), last);
    out += ", " + rows_cte("r", report_result_columns, types_of({"integer"}, fields(r)), last);
    out += ", " + rows_cte("e", report_event_columns, types_of({"integer"}, fields(e)), last);
    out += ", " + rows_cte("w", report_owner_columns, {"integer", "text", "uuid", "bigint"}, last);
    out += ", " + rows_cte("t", report_hint_columns, types_of({"integer"}, fields(t)), last);
    return out;
}

// Order within the statement comes from who reads from whom: known event keys first, then the updates' rows are locked
// and their versions compared, and the devices' with their owners, so that nobody can change them any more; what passes
// all is `fit`, and everything is written for exactly those. A rival that inserts the same event key meanwhile makes
// the statement fail, not lie. One that registers the same device meanwhile keeps it: that is a conflict, and a result
// that came along fails on its foreign key.
//
// Each look into a table is one by an index, for one row: OFFSET 0 and the lock keep the planner from making joins of
// them, which would read whole tables once these have grown. `chg` never inserts: its rows exist and are locked.
// Written so, it finds them by their key.
std::string report_sql() {
    const std::string device_insert = "INSERT INTO devices (" + std::string(device_columns) + ") SELECT " +
                                      qualified("d", device_columns) + " FROM d WHERE d.op IN (SELECT op FROM fit)";
    return "WITH " + given_rows() +
           ", o AS (SELECT generate_series(0, $1::integer - 1) AS op)"
           ", dup AS (SELECT r.op FROM r WHERE EXISTS "
           "(SELECT FROM update_results x WHERE x.event_key = r.event_key OFFSET 0))"
           ", held AS MATERIALIZED (SELECT w.op, w.state, w.id, u.device_id FROM "
           "(SELECT c.* FROM c WHERE c.op NOT IN (SELECT op FROM dup) ORDER BY c.id) w CROSS JOIN LATERAL "
           "(SELECT u.device_id FROM updates u WHERE u.id = w.id AND u.state_version = w.expected_version "
           "AND u.state IS NOT NULL FOR NO KEY UPDATE) u)"
           ", stale AS (SELECT op FROM c WHERE op NOT IN (SELECT op FROM held) "
           "UNION ALL SELECT held.op FROM held WHERE held.state IN " +
           open_states +
           " AND EXISTS (SELECT FROM updates x WHERE x.device_id = held.device_id AND x.id <> held.id AND x.state IN " +
           open_states +
           " OFFSET 0)), owned AS MATERIALIZED (SELECT w.op, x.fits FROM "
           "(SELECT w.* FROM w WHERE w.op NOT IN (SELECT op FROM dup) ORDER BY w.device_id) w CROSS JOIN LATERAL "
           "(SELECT x.gateway_id IS NOT DISTINCT FROM w.gateway_id AND x.session_epoch = w.session_epoch AS fits "
           "FROM devices x WHERE x.device_id = w.device_id FOR NO KEY UPDATE) x)"
           ", fit AS MATERIALIZED (SELECT op FROM o WHERE op NOT IN (SELECT op FROM dup) "
           "AND op NOT IN (SELECT op FROM stale) AND op NOT IN (SELECT op FROM owned WHERE NOT fits))"
           ", fresh AS (SELECT d.op FROM d WHERE NOT EXISTS "
           "(SELECT FROM devices x WHERE x.device_id = d.device_id OFFSET 0))"
           ", made AS (" +
           device_insert + " AND d.op IN (SELECT op FROM fresh) ORDER BY d.device_id ON CONFLICT DO NOTHING " +
           "RETURNING id, device_id), seen AS (" + device_insert +
           " AND d.op NOT IN (SELECT op FROM fresh) ORDER BY d.device_id ON CONFLICT (device_id) DO UPDATE SET " +
           device_update_sql() +
           " RETURNING id, device_id), dev AS (SELECT * FROM made UNION ALL SELECT * FROM seen)"
           ", chg AS (INSERT INTO updates (id, " +
           report_changing_columns + ") SELECT c.id, " + qualified("c", report_changing_columns) +
           " FROM c JOIN fit USING (op) ON CONFLICT (id) DO UPDATE SET " +
           excluded_sql(report_changing_columns, "", "") + "), res AS (INSERT INTO update_results (" +
           std::string(result_columns) + ") SELECT " + inserted_result_columns() +
           " FROM r JOIN fit USING (op) LEFT JOIN d ON d.op = r.op AND d.id = r.device_id "
           "LEFT JOIN dev ON dev.device_id = d.device_id)"
           ", ev AS (INSERT INTO update_events (" +
           std::string(event_columns) + ") SELECT " + qualified("e", event_columns) +
           " FROM e JOIN fit USING (op)), told AS (INSERT INTO outbox (" + std::string(hint_columns) + ") SELECT " +
           qualified("t", hint_columns) +
           " FROM t JOIN fit USING (op)) SELECT op, CASE WHEN op IN (SELECT op FROM dup) THEN 'duplicate' "
           "WHEN op IN (SELECT op FROM fit) AND op NOT IN (SELECT d.op FROM d WHERE d.device_id NOT IN "
           "(SELECT device_id FROM dev)) THEN 'done' ELSE 'conflict' END FROM o";
}

std::size_t column_count(const std::string& columns) { return split_columns(columns).size(); }

template <class Id>
std::string touch(char kind, const Id& id) {
    return kind + std::string(id.bytes.begin(), id.bytes.end());
}

/// Everything by which two reports could meet.
std::vector<std::string> touched_by(const record_report& report) {
    std::vector<std::string> out;
    if (report.device_row) {
        out.push_back("n" + report.device_row->device_id);
        out.push_back(touch('d', report.device_row->id));
    }
    if (report.change) {
        out.push_back(touch('u', report.change->wanted.id));
        out.push_back(touch('d', report.change->wanted.device_id));
    }
    if (report.result) {
        out.push_back("k" + report.result->event_key);
        out.push_back(touch('d', report.result->device_id));
        if (report.result->update_id) out.push_back(touch('u', *report.result->update_id));
    }
    if (report.owner) out.push_back("n" + report.owner->device_id);
    for (const update_event& event : report.events) out.push_back(touch('u', event.update_id));
    return out;
}

} // namespace

report_batch::round::round()
    : devices(column_count(report_device_columns))
    , changes(column_count(report_change_columns))
    , results(column_count(report_result_columns))
    , events(column_count(report_event_columns))
    , owners(column_count(report_owner_columns))
    , hints(column_count(report_hint_columns)) {}

report_batch::round& report_batch::round_for(const record_report& report) {
    const auto touched = touched_by(report);
    std::size_t number = 0;
    for (const std::string& what : touched) {
        if (const auto known = next_round_.find(what); known != next_round_.end())
            number = std::max(number, known->second);
    }
    for (const std::string& what : touched) next_round_[what] = number + 1;
    if (rounds_.size() <= number) rounds_.resize(number + 1);
    return rounds_[number];
}

void report_batch::add(std::size_t place, const record_report& report) {
    round& r = round_for(report);
    const int op = static_cast<int>(r.places.size());
    r.places.push_back(place);
    if (report.device_row) r.devices.add(fields(*report.device_row), op);
    if (report.change) {
        update wanted = report.change->wanted;
        wanted.state_version = report.change->expected_version + 1;
        r.changes.add(changing_fields(wanted), op, report.change->expected_version, wanted.id);
    }
    if (report.result) r.results.add(fields(*report.result), op);
    for (const update_event& event : report.events) r.events.add(fields(event), op);
    if (const auto& w = report.owner)
        r.owners.add_row(
            {std::to_string(op), w->device_id, to_parameter(w->gateway_id), to_parameter(w->session_epoch)});
    if (report.tell) r.hints.add(fields(*report.tell), op);
}

void report_batch::move_to(std::vector<work>& out) {
    static const std::string sql = report_sql();
    for (round& r : rounds_) {
        work w{{sql, {std::to_string(r.places.size())}}, std::move(r.places)};
        for (row_set* set : {&r.devices, &r.changes, &r.results, &r.events, &r.owners, &r.hints})
            set->move_to(w.sql.values);
        out.push_back(std::move(w));
    }
    rounds_.clear();
    next_round_.clear();
}

} // namespace fb::storage::postgres
