// The migrations of the FOTA tables in PostgreSQL: number for number what sqlite/fota_schema.cpp has, with types, which
// SQLite does not know. Number 1 is the seed; whatever follows only adds nullable or defaulted columns, and tables.
//
// Texts that are indexed are compared byte by byte (COLLATE "C"): lists sort as on SQLite, and an operating system that
// sorts otherwise after an upgrade does not break the indexes.
#include "storage/postgres/migrate.hpp"
#include "storage/postgres/report_views.hpp"

namespace fb::storage::postgres {

namespace {

constexpr char seed[] = R"sql(
CREATE TABLE devices (
    id               uuid PRIMARY KEY,
    device_id        text COLLATE "C" NOT NULL UNIQUE,
    type             text COLLATE "C",
    name             text,
    firmware_version text,
    last_seen        timestamptz,
    ip               text
);
CREATE TABLE firmwares (
    id          uuid PRIMARY KEY,
    device_type text COLLATE "C",
    version     text COLLATE "C",
    url         text,
    checksum    text,
    uploaded_by text,
    uploaded_at timestamptz
);
CREATE TABLE updates (
    id          uuid PRIMARY KEY,
    device_id   uuid REFERENCES devices (id),
    firmware_id uuid REFERENCES firmwares (id),
    sent_at     timestamptz
);
CREATE TABLE update_results (
    id               uuid PRIMARY KEY,
    device_id        uuid REFERENCES devices (id),
    firmware_version text,
    status           text COLLATE "C" CHECK (status IN ('success', 'failed', 'partial')),
    timestamp        timestamptz
);
)sql";

constexpr char working_columns[] = R"sql(
ALTER TABLE devices ADD COLUMN hw_rev text;
ALTER TABLE devices ADD COLUMN tags text NOT NULL DEFAULT '[]';
ALTER TABLE devices ADD COLUMN attributes text NOT NULL DEFAULT '{}';
ALTER TABLE devices ADD COLUMN online boolean NOT NULL DEFAULT false;
ALTER TABLE devices ADD COLUMN name_by_operator boolean NOT NULL DEFAULT false;
ALTER TABLE devices ADD COLUMN type_by_operator boolean NOT NULL DEFAULT false;
ALTER TABLE devices ADD COLUMN cert_fingerprint text;
ALTER TABLE devices ADD COLUMN first_seen timestamptz;
ALTER TABLE devices ADD COLUMN updates_blocked_until timestamptz;
ALTER TABLE devices ADD COLUMN fail_streak integer NOT NULL DEFAULT 0;
CREATE INDEX devices_type ON devices (type, device_id);

ALTER TABLE firmwares ADD COLUMN size bigint NOT NULL DEFAULT 0;
ALTER TABLE firmwares ADD COLUMN filename text NOT NULL DEFAULT '';
ALTER TABLE firmwares ADD COLUMN sha1 text;
ALTER TABLE firmwares ADD COLUMN md5 text;
ALTER TABLE firmwares ADD COLUMN release_counter bigint;
ALTER TABLE firmwares ADD COLUMN min_from_version text;
ALTER TABLE firmwares ADD COLUMN hw_revs text NOT NULL DEFAULT '[]';
ALTER TABLE firmwares ADD COLUMN release_notes text;
ALTER TABLE firmwares ADD COLUMN state text COLLATE "C";
CREATE UNIQUE INDEX firmwares_version ON firmwares (device_type, version) WHERE state IS NOT NULL;
CREATE INDEX firmwares_state ON firmwares (state, id);

ALTER TABLE updates ADD COLUMN state text COLLATE "C";
ALTER TABLE updates ADD COLUMN state_version bigint NOT NULL DEFAULT 0;
ALTER TABLE updates ADD COLUMN attempt integer NOT NULL DEFAULT 1;
ALTER TABLE updates ADD COLUMN requested_by text;
ALTER TABLE updates ADD COLUMN not_before timestamptz;
ALTER TABLE updates ADD COLUMN deadline timestamptz;
ALTER TABLE updates ADD COLUMN created_at timestamptz;
ALTER TABLE updates ADD COLUMN state_at timestamptz;
ALTER TABLE updates ADD COLUMN step_deadline timestamptz;
ALTER TABLE updates ADD COLUMN offer_no integer NOT NULL DEFAULT 0;
ALTER TABLE updates ADD COLUMN percent integer NOT NULL DEFAULT 0;
ALTER TABLE updates ADD COLUMN bytes_sent bigint NOT NULL DEFAULT 0;
ALTER TABLE updates ADD COLUMN from_version text;
ALTER TABLE updates ADD COLUMN error_code text;
ALTER TABLE updates ADD COLUMN error_text text;
ALTER TABLE updates ADD COLUMN allow_downgrade boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX updates_one_open ON updates (device_id) WHERE state IN
    ('scheduled', 'pending', 'offered', 'accepted', 'downloading', 'downloaded', 'installing', 'verifying');
CREATE INDEX updates_device ON updates (device_id, id);
CREATE INDEX updates_firmware ON updates (firmware_id, id);
CREATE INDEX updates_state ON updates (state, id);

ALTER TABLE update_results ADD COLUMN update_id uuid REFERENCES updates (id);
ALTER TABLE update_results ADD COLUMN attempt integer;
ALTER TABLE update_results ADD COLUMN code text;
ALTER TABLE update_results ADD COLUMN message text;
ALTER TABLE update_results ADD COLUMN device_time text;
ALTER TABLE update_results ADD COLUMN event_key text COLLATE "C";
ALTER TABLE update_results ADD COLUMN late boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX update_results_event_key ON update_results (event_key);
CREATE INDEX update_results_time ON update_results (timestamp, id);
CREATE INDEX update_results_device ON update_results (device_id, timestamp, id);
CREATE INDEX update_results_status ON update_results (status, timestamp, id);
CREATE INDEX update_results_update ON update_results (update_id);

CREATE TABLE update_events (
    id         uuid PRIMARY KEY,
    update_id  uuid NOT NULL REFERENCES updates (id),
    at         timestamptz NOT NULL,
    from_state text,
    to_state   text NOT NULL,
    attempt    integer NOT NULL,
    cause      text NOT NULL,
    detail     text
);
CREATE INDEX update_events_update ON update_events (update_id, id);

CREATE TABLE api_tokens (
    id           uuid PRIMARY KEY,
    name         text COLLATE "C" NOT NULL,
    role         text NOT NULL,
    hash         text COLLATE "C" NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);
CREATE UNIQUE INDEX api_tokens_name ON api_tokens (name) WHERE revoked_at IS NULL;

CREATE TABLE idempotency_keys (
    key          text COLLATE "C" PRIMARY KEY,
    request_hash text NOT NULL,
    status       integer NOT NULL,
    body         text NOT NULL,
    created_at   timestamptz NOT NULL
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
)sql";

constexpr char full_model[] = R"sql(
CREATE TABLE gateways (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    peer_url   text,
    version    text,
    instance   uuid,
    started_at timestamptz,
    seen_at    timestamptz
);
CREATE TABLE leases (
    name       text COLLATE "C" PRIMARY KEY,
    holder     uuid NOT NULL REFERENCES gateways (id),
    expires_at timestamptz NOT NULL
);
CREATE TABLE shared_secrets (
    name       text COLLATE "C" PRIMARY KEY,
    secret     text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE TABLE signing_keys (
    kid         text COLLATE "C" PRIMARY KEY,
    alg         text NOT NULL,
    public_key  text NOT NULL,
    name        text,
    device_type text,
    created_by  text,
    created_at  timestamptz NOT NULL,
    revoked_at  timestamptz
);
CREATE TABLE firmware_signatures (
    firmware_id uuid NOT NULL REFERENCES firmwares (id),
    kid         text COLLATE "C" NOT NULL REFERENCES signing_keys (kid),
    alg         text NOT NULL,
    signature   text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (firmware_id, kid)
);
CREATE TABLE rollouts (
    id                   uuid PRIMARY KEY,
    name                 text NOT NULL,
    firmware_id          uuid NOT NULL REFERENCES firmwares (id),
    state                text NOT NULL CHECK (state IN
        ('draft', 'awaiting_approval', 'ready', 'running', 'paused', 'finished', 'aborted')),
    target               text NOT NULL DEFAULT '{}',
    mode                 text NOT NULL DEFAULT 'forced',
    max_inflight         integer,
    rate_per_minute      integer,
    download_bytes_per_s bigint,
    window_cron          text,
    window_zone          text,
    window_duration_s    integer,
    start_at             timestamptz,
    dynamic              boolean NOT NULL DEFAULT false,
    created_by           text,
    created_at           timestamptz NOT NULL,
    approved_by          text,
    approved_at          timestamptz,
    started_at           timestamptz,
    state_at             timestamptz,
    pause_reason         text,
    state_version        bigint NOT NULL DEFAULT 0
);
CREATE TABLE rollout_groups (
    rollout_id        uuid NOT NULL REFERENCES rollouts (id),
    number            integer NOT NULL,
    percent           integer NOT NULL,
    state             text NOT NULL,
    success_threshold integer,
    failure_threshold integer,
    soak_s            integer,
    success_action    text,
    total             integer NOT NULL DEFAULT 0,
    succeeded         integer NOT NULL DEFAULT 0,
    failed            integer NOT NULL DEFAULT 0,
    decided           integer NOT NULL DEFAULT 0,
    started_at        timestamptz,
    ended_at          timestamptz,
    PRIMARY KEY (rollout_id, number)
);

ALTER TABLE devices ADD COLUMN gateway_id uuid REFERENCES gateways (id);
ALTER TABLE devices ADD COLUMN session_epoch bigint NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN dialect text NOT NULL DEFAULT 'native';
ALTER TABLE devices ADD COLUMN auth_state text;
CREATE INDEX devices_gateway ON devices (gateway_id, id);

ALTER TABLE firmwares ADD COLUMN channel text;
ALTER TABLE firmwares ADD COLUMN security boolean NOT NULL DEFAULT false;
ALTER TABLE firmwares ADD COLUMN sbom_url text;

ALTER TABLE updates ADD COLUMN rollout_id uuid REFERENCES rollouts (id);
ALTER TABLE updates ADD COLUMN rollout_group integer;
ALTER TABLE updates ADD COLUMN mode text NOT NULL DEFAULT 'forced';
ALTER TABLE updates ADD COLUMN ddi_action_id bigint;
CREATE INDEX updates_rollout ON updates (rollout_id, state) WHERE rollout_id IS NOT NULL;
CREATE UNIQUE INDEX updates_ddi_action ON updates (ddi_action_id) WHERE ddi_action_id IS NOT NULL;

CREATE TABLE outbox (
    id         uuid PRIMARY KEY,
    created_at timestamptz NOT NULL,
    gateway_id uuid REFERENCES gateways (id),
    device_id  uuid REFERENCES devices (id),
    kind       text NOT NULL,
    update_id  uuid REFERENCES updates (id),
    payload    text
);
CREATE INDEX outbox_gateway ON outbox (gateway_id, id);

CREATE TABLE audit_log (
    seq           bigint PRIMARY KEY,
    at            timestamptz NOT NULL,
    actor         text NOT NULL,
    action        text NOT NULL,
    subject       text,
    detail        text,
    previous_hash text NOT NULL,
    hash          text NOT NULL
);

CREATE TABLE users (
    id            uuid PRIMARY KEY,
    name          text COLLATE "C" NOT NULL UNIQUE,
    role          text NOT NULL,
    password_hash text NOT NULL,
    created_at    timestamptz NOT NULL,
    disabled_at   timestamptz
);

CREATE TABLE auth_failures (
    id      uuid PRIMARY KEY,
    at      timestamptz NOT NULL,
    address text,
    who     text,
    reason  text NOT NULL,
    count   integer NOT NULL DEFAULT 1
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

} // namespace fb::storage::postgres
