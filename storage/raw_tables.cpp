#include "storage/raw_tables.hpp"

namespace fb::storage {

namespace {

struct listed_table {
    const char* name;
    int key_columns;
    const char* columns; // "name type, name type"
};

// Every column of the schema, those of no record struct as well; schema_parity.cpp compares with the tables themselves.
// clang-format off
constexpr listed_table listed[] = {
    {"gateways", 1,
     "id uuid, name text, peer_url text, version text, instance uuid, started_at time, seen_at time"},
    {"leases", 1, "name text, holder uuid, expires_at time"},
    {"shared_secrets", 1, "name text, secret text, created_at time"},
    {"signing_keys", 1,
     "kid text, alg text, public_key text, name text, device_type text, created_by text, created_at time, "
     "revoked_at time"},
    {"devices", 1,
     "id uuid, device_id text, type text, name text, firmware_version text, last_seen time, ip text, hw_rev text, "
     "tags text, attributes text, online boolean, name_by_operator boolean, type_by_operator boolean, "
     "cert_fingerprint text, first_seen time, updates_blocked_until time, fail_streak integer, gateway_id uuid, "
     "session_epoch bigint, dialect text, auth_state text"},
    {"firmwares", 1,
     "id uuid, device_type text, version text, url text, checksum text, uploaded_by text, uploaded_at time, "
     "size bigint, filename text, sha1 text, md5 text, release_counter bigint, min_from_version text, hw_revs text, "
     "release_notes text, state text, channel text, security boolean, sbom_url text"},
    {"firmware_signatures", 2, "firmware_id uuid, kid text, alg text, signature text, created_at time"},
    {"rollouts", 1,
     "id uuid, name text, firmware_id uuid, state text, target text, mode text, max_inflight integer, "
     "rate_per_minute integer, download_bytes_per_s bigint, window_cron text, window_zone text, "
     "window_duration_s integer, start_at time, dynamic boolean, created_by text, created_at time, approved_by text, "
     "approved_at time, started_at time, state_at time, pause_reason text, state_version bigint"},
    {"rollout_groups", 2,
     "rollout_id uuid, number integer, percent integer, state text, success_threshold integer, "
     "failure_threshold integer, soak_s integer, success_action text, total integer, succeeded integer, "
     "failed integer, decided integer, started_at time, ended_at time"},
    {"updates", 1,
     "id uuid, device_id uuid, firmware_id uuid, sent_at time, state text, state_version bigint, attempt integer, "
     "requested_by text, not_before time, deadline time, created_at time, state_at time, step_deadline time, "
     "offer_no integer, percent integer, bytes_sent bigint, from_version text, error_code text, error_text text, "
     "allow_downgrade boolean, rollout_id uuid, rollout_group integer, mode text, ddi_action_id bigint"},
    {"update_results", 1,
     "id uuid, device_id uuid, firmware_version text, status text, timestamp time, update_id uuid, attempt integer, "
     "code text, message text, device_time text, event_key text, late boolean"},
    {"update_events", 1,
     "id uuid, update_id uuid, at time, from_state text, to_state text, attempt integer, cause text, detail text"},
    {"outbox", 1,
     "id uuid, created_at time, gateway_id uuid, device_id uuid, kind text, update_id uuid, payload text"},
    {"api_tokens", 1,
     "id uuid, name text, role text, hash text, created_at time, expires_at time, revoked_at time, last_used_at time"},
    {"idempotency_keys", 1, "key text, request_hash text, status integer, body text, created_at time"},
    {"audit_log", 1,
     "seq bigint, at time, actor text, action text, subject text, detail text, previous_hash text, hash text"},
    {"users", 1, "id uuid, name text, role text, password_hash text, created_at time, disabled_at time"},
    {"auth_failures", 1, "id uuid, at time, address text, who text, reason text, count integer"},
};

constexpr consistency_rule rules[] = {
    {"SELECT count(*) FROM updates WHERE state IS NOT NULL AND state NOT IN ('scheduled', 'pending', 'offered', "
     "'accepted', 'downloading', 'downloaded', 'installing', 'verifying', 'succeeded', 'failed', 'rejected', "
     "'canceled', 'expired', 'superseded', 'skipped')",
     "updates are in a state that this program does not know"},
    {"SELECT count(*) FROM updates WHERE state IS NOT NULL AND (device_id IS NULL OR firmware_id IS NULL)",
     "updates are of no device or of no firmware"},
    {"SELECT count(*) FROM firmwares WHERE state IS NOT NULL AND state NOT IN ('draft', 'approved', 'revoked')",
     "firmwares are in a state that this program does not know"},
    {"SELECT count(*) FROM firmwares WHERE state IS NOT NULL AND (checksum IS NULL OR checksum NOT LIKE 'sha256:%')",
     "firmwares have no SHA-256"},
    {"SELECT count(*) FROM update_results WHERE event_key IS NOT NULL AND device_id IS NULL",
     "results are of no device"},
};
// clang-format on

column_type type_called(std::string_view word) {
    if (word == "uuid") return column_type::uuid;
    if (word == "time") return column_type::time;
    if (word == "boolean") return column_type::boolean;
    if (word == "integer") return column_type::integer;
    return word == "bigint" ? column_type::bigint : column_type::text;
}

table table_of(const listed_table& from) {
    table out{from.name, from.key_columns, {}, {}};
    for (const std::string_view column : split_columns(from.columns)) {
        const auto space = column.find(' ');
        out.columns.append(out.columns.empty() ? "" : ", ").append(column.substr(0, space));
        out.types.push_back(type_called(column.substr(space + 1)));
    }
    return out;
}

} // namespace

const std::vector<table>& fota_tables() {
    static const std::vector<table> all = [] {
        std::vector<table> out;
        for (const listed_table& t : listed) out.push_back(table_of(t));
        return out;
    }();
    return all;
}

std::string key_of(const table& t) {
    auto columns = split_columns(t.columns);
    columns.resize(static_cast<std::size_t>(t.key_columns));
    std::string out;
    for (const std::string_view column : columns) out.append(out.empty() ? "" : ", ").append(column);
    return out;
}

std::span<const consistency_rule> consistency_rules() { return rules; }

} // namespace fb::storage
