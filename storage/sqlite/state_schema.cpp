// The migrations of state.db: the broker's own state, read and written by this program only.
//
// A message is stored once and referred to by id from queues, retained topics and wills. The indexes on those
// references answer "does anybody still need it?" without a count that a crash could leave wrong.
#include "storage/sqlite/migrate.hpp"

namespace fb::storage::sqlite {

namespace {

constexpr char sessions_and_messages[] = R"sql(
CREATE TABLE messages (
    id         INTEGER PRIMARY KEY,
    topic      TEXT NOT NULL,
    payload    BLOB NOT NULL,
    properties BLOB NOT NULL,
    quality    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    publisher  INTEGER NOT NULL
);
CREATE TABLE sessions (
    number       INTEGER PRIMARY KEY,
    client_id    TEXT NOT NULL UNIQUE,
    principal    TEXT NOT NULL,
    protocol     INTEGER NOT NULL,
    expiry_s     INTEGER NOT NULL,
    ended_at     INTEGER NOT NULL,
    will         INTEGER NOT NULL, -- messages.id, 0: none
    will_retain  INTEGER NOT NULL,
    will_delay_s INTEGER NOT NULL
);
CREATE INDEX sessions_will ON sessions (will) WHERE will <> 0;
CREATE TABLE subscriptions (
    session         INTEGER NOT NULL,
    filter          TEXT NOT NULL,
    options         INTEGER NOT NULL,
    subscription_id INTEGER NOT NULL,
    PRIMARY KEY (session, filter)
) WITHOUT ROWID;
CREATE TABLE queue (
    session          INTEGER NOT NULL,
    sequence         INTEGER NOT NULL,
    message          INTEGER NOT NULL,
    quality          INTEGER NOT NULL,
    retain           INTEGER NOT NULL,
    packet_id        INTEGER NOT NULL,
    state            INTEGER NOT NULL,
    subscription_ids BLOB NOT NULL, -- 4 bytes each, little-endian
    PRIMARY KEY (session, sequence)
) WITHOUT ROWID;
CREATE INDEX queue_message ON queue (message);
CREATE TABLE received (
    session   INTEGER NOT NULL,
    packet_id INTEGER NOT NULL,
    PRIMARY KEY (session, packet_id)
) WITHOUT ROWID;
CREATE TABLE retained (
    topic   TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    message INTEGER NOT NULL -- 0: cleared; the row stays for a while so that a late, older write is still ignored
) WITHOUT ROWID;
CREATE INDEX retained_message ON retained (message);
)sql";

constexpr char redo_log[] = R"sql(
CREATE TABLE redo (
    log     INTEGER NOT NULL, -- which redo log is this database's
    applied INTEGER NOT NULL  -- the last segment of it whose operations are all in here
);
INSERT INTO redo (log, applied) VALUES (abs(random() / 2) + 1, 0);
)sql";

constexpr migration state_db_migrations[] = {
    {1, "sessions_and_messages", sessions_and_messages},
    {2, "redo_log", redo_log},
};

} // namespace

std::span<const migration> state_migrations() { return state_db_migrations; }

} // namespace fb::storage::sqlite
