// The migrations of fota.db. Number 1 is the seed: four tables that other programs may read and write, at every later
// version too. So whatever follows only adds nullable or defaulted columns, and tables.
#include "storage/sqlite/migrate.hpp"
#include "storage/sqlite/report_views.hpp"

namespace fb::storage::sqlite {

namespace {

constexpr char seed[] = R"sql(
CREATE TABLE devices (
    id               TEXT PRIMARY KEY NOT NULL,
    device_id        TEXT NOT NULL UNIQUE,
    type             TEXT,
    name             TEXT,
    firmware_version TEXT,
    last_seen        TEXT,
    ip               TEXT
);
CREATE TABLE firmwares (
    id          TEXT PRIMARY KEY NOT NULL,
    device_type TEXT,
    version     TEXT,
    url         TEXT,
    checksum    TEXT,
    uploaded_by TEXT,
    uploaded_at TEXT
);
CREATE TABLE updates (
    id          TEXT PRIMARY KEY NOT NULL,
    device_id   TEXT REFERENCES devices (id),
    firmware_id TEXT REFERENCES firmwares (id),
    sent_at     TEXT
);
CREATE TABLE update_results (
    id               TEXT PRIMARY KEY NOT NULL,
    device_id        TEXT REFERENCES devices (id),
    firmware_version TEXT,
    status           TEXT CHECK (status IN ('success', 'failed', 'partial')),
    timestamp        TEXT
);
)sql";

constexpr char working_columns[] = R"sql(
ALTER TABLE devices ADD COLUMN hw_rev TEXT;
ALTER TABLE devices ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE devices ADD COLUMN attributes TEXT NOT NULL DEFAULT '{}';
ALTER TABLE devices ADD COLUMN online INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN name_by_operator INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN type_by_operator INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN cert_fingerprint TEXT;
ALTER TABLE devices ADD COLUMN first_seen TEXT;
ALTER TABLE devices ADD COLUMN updates_blocked_until TEXT;
ALTER TABLE devices ADD COLUMN fail_streak INTEGER NOT NULL DEFAULT 0;
CREATE INDEX devices_type ON devices (type, device_id);

ALTER TABLE firmwares ADD COLUMN size INTEGER NOT NULL DEFAULT 0;
ALTER TABLE firmwares ADD COLUMN filename TEXT NOT NULL DEFAULT '';
ALTER TABLE firmwares ADD COLUMN sha1 TEXT;
ALTER TABLE firmwares ADD COLUMN md5 TEXT;
ALTER TABLE firmwares ADD COLUMN release_counter INTEGER;
ALTER TABLE firmwares ADD COLUMN min_from_version TEXT;
ALTER TABLE firmwares ADD COLUMN hw_revs TEXT NOT NULL DEFAULT '[]';
ALTER TABLE firmwares ADD COLUMN release_notes TEXT;
ALTER TABLE firmwares ADD COLUMN state TEXT;
CREATE UNIQUE INDEX firmwares_version ON firmwares (device_type, version) WHERE state IS NOT NULL;
CREATE INDEX firmwares_state ON firmwares (state, id);

ALTER TABLE updates ADD COLUMN state TEXT;
ALTER TABLE updates ADD COLUMN state_version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE updates ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1;
ALTER TABLE updates ADD COLUMN requested_by TEXT;
ALTER TABLE updates ADD COLUMN not_before TEXT;
ALTER TABLE updates ADD COLUMN deadline TEXT;
ALTER TABLE updates ADD COLUMN created_at TEXT;
ALTER TABLE updates ADD COLUMN state_at TEXT;
ALTER TABLE updates ADD COLUMN step_deadline TEXT;
ALTER TABLE updates ADD COLUMN offer_no INTEGER NOT NULL DEFAULT 0;
ALTER TABLE updates ADD COLUMN percent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE updates ADD COLUMN bytes_sent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE updates ADD COLUMN from_version TEXT;
ALTER TABLE updates ADD COLUMN error_code TEXT;
ALTER TABLE updates ADD COLUMN error_text TEXT;
ALTER TABLE updates ADD COLUMN allow_downgrade INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX updates_one_open ON updates (device_id) WHERE state IN
    ('scheduled', 'pending', 'offered', 'accepted', 'downloading', 'downloaded', 'installing', 'verifying');
CREATE INDEX updates_device ON updates (device_id, id);
CREATE INDEX updates_firmware ON updates (firmware_id, id);
CREATE INDEX updates_state ON updates (state, id);

ALTER TABLE update_results ADD COLUMN update_id TEXT REFERENCES updates (id);
ALTER TABLE update_results ADD COLUMN attempt INTEGER;
ALTER TABLE update_results ADD COLUMN code TEXT;
ALTER TABLE update_results ADD COLUMN message TEXT;
ALTER TABLE update_results ADD COLUMN device_time TEXT;
ALTER TABLE update_results ADD COLUMN event_key TEXT;
ALTER TABLE update_results ADD COLUMN late INTEGER NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX update_results_event_key ON update_results (event_key);
CREATE INDEX update_results_time ON update_results (timestamp, id);
CREATE INDEX update_results_device ON update_results (device_id, timestamp, id);
CREATE INDEX update_results_status ON update_results (status, timestamp, id);
CREATE INDEX update_results_update ON update_results (update_id);

CREATE TABLE update_events (
    id         TEXT PRIMARY KEY NOT NULL,
    update_id  TEXT NOT NULL REFERENCES updates (id),
    at         TEXT NOT NULL,
    from_state TEXT,
    to_state   TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    cause      TEXT NOT NULL,
    detail     TEXT
);
CREATE INDEX update_events_update ON update_events (update_id, id);

CREATE TABLE api_tokens (
    id           TEXT PRIMARY KEY NOT NULL,
    name         TEXT NOT NULL,
    role         TEXT NOT NULL,
    hash         TEXT NOT NULL UNIQUE,
    created_at   TEXT NOT NULL,
    expires_at   TEXT,
    revoked_at   TEXT,
    last_used_at TEXT
);
CREATE UNIQUE INDEX api_tokens_name ON api_tokens (name) WHERE revoked_at IS NULL;

CREATE TABLE idempotency_keys (
    key          TEXT PRIMARY KEY NOT NULL,
    request_hash TEXT NOT NULL,
    status       INTEGER NOT NULL,
    body         TEXT NOT NULL,
    created_at   TEXT NOT NULL
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
)sql";

constexpr char full_model[] = R"sql(
CREATE TABLE gateways (
    id         TEXT PRIMARY KEY NOT NULL,
    name       TEXT NOT NULL,
    peer_url   TEXT,
    version    TEXT,
    instance   TEXT,
    started_at TEXT,
    seen_at    TEXT
);
CREATE TABLE leases (
    name       TEXT PRIMARY KEY NOT NULL,
    holder     TEXT NOT NULL REFERENCES gateways (id),
    expires_at TEXT NOT NULL
);
CREATE TABLE shared_secrets (
    name       TEXT PRIMARY KEY NOT NULL,
    secret     TEXT NOT NULL,
    created_at TEXT NOT NULL
);
CREATE TABLE signing_keys (
    kid         TEXT PRIMARY KEY NOT NULL,
    alg         TEXT NOT NULL,
    public_key  TEXT NOT NULL,
    name        TEXT,
    device_type TEXT,
    created_by  TEXT,
    created_at  TEXT NOT NULL,
    revoked_at  TEXT
);
CREATE TABLE firmware_signatures (
    firmware_id TEXT NOT NULL REFERENCES firmwares (id),
    kid         TEXT NOT NULL REFERENCES signing_keys (kid),
    alg         TEXT NOT NULL,
    signature   TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    PRIMARY KEY (firmware_id, kid)
);
CREATE TABLE rollouts (
    id                   TEXT PRIMARY KEY NOT NULL,
    name                 TEXT NOT NULL,
    firmware_id          TEXT NOT NULL REFERENCES firmwares (id),
    state                TEXT NOT NULL CHECK (state IN
        ('draft', 'awaiting_approval', 'ready', 'running', 'paused', 'finished', 'aborted')),
    target               TEXT NOT NULL DEFAULT '{}',
    mode                 TEXT NOT NULL DEFAULT 'forced',
    max_inflight         INTEGER,
    rate_per_minute      INTEGER,
    download_bytes_per_s INTEGER,
    window_cron          TEXT,
    window_zone          TEXT,
    window_duration_s    INTEGER,
    start_at             TEXT,
    dynamic              INTEGER NOT NULL DEFAULT 0,
    created_by           TEXT,
    created_at           TEXT NOT NULL,
    approved_by          TEXT,
    approved_at          TEXT,
    started_at           TEXT,
    state_at             TEXT,
    pause_reason         TEXT,
    state_version        INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE rollout_groups (
    rollout_id        TEXT NOT NULL REFERENCES rollouts (id),
    number            INTEGER NOT NULL,
    percent           INTEGER NOT NULL,
    state             TEXT NOT NULL,
    success_threshold INTEGER,
    failure_threshold INTEGER,
    soak_s            INTEGER,
    success_action    TEXT,
    total             INTEGER NOT NULL DEFAULT 0,
    succeeded         INTEGER NOT NULL DEFAULT 0,
    failed            INTEGER NOT NULL DEFAULT 0,
    decided           INTEGER NOT NULL DEFAULT 0,
    started_at        TEXT,
    ended_at          TEXT,
    PRIMARY KEY (rollout_id, number)
);

ALTER TABLE devices ADD COLUMN gateway_id TEXT REFERENCES gateways (id);
ALTER TABLE devices ADD COLUMN session_epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN dialect TEXT NOT NULL DEFAULT 'native';
ALTER TABLE devices ADD COLUMN auth_state TEXT;
CREATE INDEX devices_gateway ON devices (gateway_id, id);

ALTER TABLE firmwares ADD COLUMN channel TEXT;
ALTER TABLE firmwares ADD COLUMN security INTEGER NOT NULL DEFAULT 0;
ALTER TABLE firmwares ADD COLUMN sbom_url TEXT;

ALTER TABLE updates ADD COLUMN rollout_id TEXT REFERENCES rollouts (id);
ALTER TABLE updates ADD COLUMN rollout_group INTEGER;
ALTER TABLE updates ADD COLUMN mode TEXT NOT NULL DEFAULT 'forced';
ALTER TABLE updates ADD COLUMN ddi_action_id INTEGER;
CREATE INDEX updates_rollout ON updates (rollout_id, state) WHERE rollout_id IS NOT NULL;
CREATE UNIQUE INDEX updates_ddi_action ON updates (ddi_action_id) WHERE ddi_action_id IS NOT NULL;

CREATE TABLE outbox (
    id         TEXT PRIMARY KEY NOT NULL,
    created_at TEXT NOT NULL,
    gateway_id TEXT REFERENCES gateways (id),
    device_id  TEXT REFERENCES devices (id),
    kind       TEXT NOT NULL,
    update_id  TEXT REFERENCES updates (id),
    payload    TEXT
);
CREATE INDEX outbox_gateway ON outbox (gateway_id, id);

CREATE TABLE audit_log (
    seq           INTEGER PRIMARY KEY NOT NULL,
    at            TEXT NOT NULL,
    actor         TEXT NOT NULL,
    action        TEXT NOT NULL,
    subject       TEXT,
    detail        TEXT,
    previous_hash TEXT NOT NULL,
    hash          TEXT NOT NULL
);

CREATE TABLE users (
    id            TEXT PRIMARY KEY NOT NULL,
    name          TEXT NOT NULL UNIQUE,
    role          TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at    TEXT NOT NULL,
    disabled_at   TEXT
);

CREATE TABLE auth_failures (
    id      TEXT PRIMARY KEY NOT NULL,
    at      TEXT NOT NULL,
    address TEXT,
    who     TEXT,
    reason  TEXT NOT NULL,
    count   INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX auth_failures_time ON auth_failures (at);
)sql";

constexpr migration migrations[] = {
    {1, "seed", seed},
    {2, "working_columns", working_columns},
    {3, "full_model", full_model},
    {4, "reports", report_views},
};

} // namespace

std::span<const migration> fota_migrations() { return migrations; }

} // namespace fb::storage::sqlite
