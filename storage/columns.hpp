// How a row struct meets its table, for every SQL engine: the columns' names once, and the members in the same order.
// Pure; any thread. The names' order and the members' order must agree; the contract suite's round trips tell.
#pragma once

#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "storage/records.hpp"

namespace fb::storage {

inline constexpr std::string_view device_columns =
    "id, device_id, type, name, firmware_version, last_seen, ip, hw_rev, tags, attributes, online, name_by_operator, "
    "type_by_operator, cert_fingerprint, first_seen, updates_blocked_until, fail_streak, gateway_id, session_epoch";
template <class Row>
requires std::is_same_v<std::remove_const_t<Row>, device>
auto fields(Row& r) {
    return std::tie(r.id, r.device_id, r.type, r.name, r.firmware_version, r.last_seen, r.ip, r.hw_rev, r.tags,
                    r.attributes, r.online, r.name_by_operator, r.type_by_operator, r.cert_fingerprint, r.first_seen,
                    r.updates_blocked_until, r.fail_streak, r.gateway_id, r.session_epoch);
}

inline constexpr std::string_view firmware_columns =
    "id, device_type, version, url, checksum, uploaded_by, uploaded_at, size, filename, sha1, md5, release_counter, "
    "min_from_version, hw_revs, release_notes, state";
template <class Row>
requires std::is_same_v<std::remove_const_t<Row>, firmware>
auto fields(Row& r) {
    return std::tie(r.id, r.device_type, r.version, r.url, r.checksum, r.uploaded_by, r.uploaded_at, r.size, r.filename,
                    r.sha1, r.md5, r.release_counter, r.min_from_version, r.hw_revs, r.release_notes, r.state);
}

/// Who an update is for never changes; the rest does.
inline constexpr std::string_view update_identity_columns = "id, device_id, firmware_id";
inline constexpr std::string_view update_changing_columns =
    "sent_at, state, state_version, attempt, requested_by, not_before, deadline, created_at, state_at, step_deadline, "
    "offer_no, percent, bytes_sent, from_version, error_code, error_text, allow_downgrade";
template <class Row>
auto changing_fields(Row& r) {
    return std::tie(r.sent_at, r.state, r.state_version, r.attempt, r.requested_by, r.not_before, r.deadline,
                    r.created_at, r.state_at, r.step_deadline, r.offer_no, r.percent, r.bytes_sent, r.from_version,
                    r.error_code, r.error_text, r.allow_downgrade);
}
template <class Row>
requires std::is_same_v<std::remove_const_t<Row>, update>
auto fields(Row& r) { return std::tuple_cat(std::tie(r.id, r.device_id, r.firmware_id), changing_fields(r)); }

inline constexpr std::string_view result_columns =
    "id, device_id, firmware_version, status, timestamp, update_id, attempt, code, message, device_time, event_key, "
    "late";
template <class Row>
requires std::is_same_v<std::remove_const_t<Row>, update_result>
auto fields(Row& r) {
    return std::tie(r.id, r.device_id, r.firmware_version, r.status, r.received_at, r.update_id, r.attempt, r.code,
                    r.message, r.device_time, r.event_key, r.late);
}

inline constexpr std::string_view event_columns = "id, update_id, at, from_state, to_state, attempt, cause, detail";
template <class Row>
requires std::is_same_v<std::remove_const_t<Row>, update_event>
auto fields(Row& r) {
    return std::tie(r.id, r.update_id, r.at, r.from_state, r.to_state, r.attempt, r.cause, r.detail);
}

inline constexpr std::string_view gateway_columns = "id, name, peer_url, version";
template <class Row>
requires std::is_same_v<std::remove_const_t<Row>, gateway>
auto fields(Row& r) { return std::tie(r.id, r.name, r.peer_url, r.version); }

inline constexpr std::string_view hint_columns = "id, created_at, gateway_id, device_id, kind, update_id";
template <class Row>
requires std::is_same_v<std::remove_const_t<Row>, hint>
auto fields(Row& r) { return std::tie(r.id, r.created_at, r.gateway_id, r.device_id, r.kind, r.update_id); }

inline constexpr std::string_view token_columns =
    "id, name, role, hash, created_at, expires_at, revoked_at, last_used_at";
template <class Row>
requires std::is_same_v<std::remove_const_t<Row>, api_token>
auto fields(Row& r) {
    return std::tie(r.id, r.name, r.role, r.hash, r.created_at, r.expires_at, r.revoked_at, r.last_used_at);
}

inline constexpr std::string_view audit_columns = "seq, at, actor, action, subject, detail, previous_hash, hash";
template <class Entry>
requires std::is_same_v<std::remove_const_t<Entry>, audit_entry>
auto fields(Entry& e) { return std::tie(e.at, e.actor, e.action, e.subject, e.detail); }
template <class Row>
requires std::is_same_v<std::remove_const_t<Row>, audit_row>
auto fields(Row& r) { return std::tuple_cat(std::tie(r.seq), fields(r.entry), std::tie(r.previous_hash, r.hash)); }

inline constexpr std::string_view idempotency_columns = "key, request_hash, status, body, created_at";
template <class Row>
requires std::is_same_v<std::remove_const_t<Row>, idempotency_record>
auto fields(Row& r) { return std::tie(r.key, r.request_hash, r.status, r.body, r.created_at); }

/// What a column holds, whatever the engine calls it.
enum class column_type { text, uuid, time, boolean, integer, bigint };

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
constexpr column_type column_type_of() {
    if constexpr (is_optional<T>) {
        return column_type_of<typename T::value_type>();
    } else if constexpr (std::is_same_v<T, timestamp>) {
        return column_type::time;
    } else if constexpr (std::is_same_v<T, bool>) {
        return column_type::boolean;
    } else if constexpr (std::is_integral_v<T>) {
        return sizeof(T) > 4 ? column_type::bigint : column_type::integer;
    } else if constexpr (requires(T id) { id.bytes; }) {
        return column_type::uuid;
    } else {
        return column_type::text;
    }
}

/// Reads the columns of the query's present row into the members.
template <class Query, class Row>
void read_row(Query& q, Row& out) {
    std::apply([&](auto&... member) { (void)(q >> ... >> member); }, fields(out));
}

/// "a, b" as its parts.
std::vector<std::string_view> split_columns(std::string_view columns);
/// "a, b" as "t.a, t.b".
std::string qualified(std::string_view table, std::string_view columns);
/// "a, b" as "a = excluded.a, b = excluded.b", without the columns named in `but`.
std::string excluded_sql(std::string_view columns, std::string_view but_first, std::string_view but_second);
/// What a report changes of a device that is known, for ON CONFLICT (device_id) DO UPDATE SET: not what an operator
/// has set.
std::string device_update_sql();

} // namespace fb::storage
