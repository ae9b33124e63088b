// The rows of the FOTA data model as plain structs, one field per column, engine-independent.
// An empty optional is NULL. Column names are the members' names unless a comment says otherwise.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/values.hpp"

namespace fb::storage {

/// Table devices. The first seven are the seed's.
struct device {
    device_uuid id;
    std::string device_id; // the text id: certificate CN or SAN
    std::optional<std::string> type;
    std::optional<std::string> name;
    std::optional<std::string> firmware_version;
    std::optional<timestamp> last_seen; // written at most once a minute while nothing else changes
    std::optional<std::string> ip;      // the peer's address as seen
    std::optional<std::string> hw_rev;
    std::string tags = "[]";       // JSON array of strings
    std::string attributes = "{}"; // JSON object: battery, boot_id, caps, reported ip, ...
    bool online = false;
    bool name_by_operator = false; // then status reports leave the name alone
    bool type_by_operator = false;
    std::optional<std::string> cert_fingerprint;
    std::optional<timestamp> first_seen;
    std::optional<timestamp> updates_blocked_until; // the penalty box
    int fail_streak = 0;
    std::optional<gateway_uuid> gateway_id; // -> gateways.id: who speaks with it, or was the last to
    std::int64_t session_epoch = 0;         // raised with every CONNECT and take-over: names one possession of it
};

/// Table gateways: a row for each that ever used this database. Times are the database's.
struct gateway {
    gateway_uuid id;                     // for good, from the data directory
    std::string name;                    // for people
    std::optional<std::string> peer_url; // "https://gw1.example:8443": where others fetch firmware files from it
    std::optional<std::string> version;
};

enum class firmware_state { draft, approved, revoked };

/// Table firmwares. `state` empty: a row written by somebody else with the seed's columns only; never acted on.
struct firmware {
    firmware_uuid id;
    std::string device_type;
    std::string version;
    std::string url;      // path below the public base: /fw/<id>/<filename>
    std::string checksum; // "sha256:<64 hex>"
    std::optional<std::string> uploaded_by;
    timestamp uploaded_at;
    std::int64_t size = 0; // bytes
    std::string filename;
    std::optional<std::string> sha1;
    std::optional<std::string> md5;
    std::optional<std::int64_t> release_counter;
    std::optional<std::string> min_from_version;
    std::string hw_revs = "[]"; // JSON array
    std::optional<std::string> release_notes;
    std::optional<firmware_state> state;
};

/// The state machine's states (fota.md section 3), in its order; the text in the database is the name.
enum class update_state {
    scheduled,
    pending,
    offered,
    accepted,
    downloading,
    downloaded,
    installing,
    verifying,
    succeeded,
    failed,
    rejected,
    canceled,
    expired,
    superseded,
    skipped,
};

constexpr bool is_terminal(update_state s) noexcept { return s >= update_state::succeeded; }
constexpr bool is_open(update_state s) noexcept { return !is_terminal(s); }
const char* to_string(update_state s) noexcept;
std::optional<update_state> parse_update_state(std::string_view text) noexcept;
const char* to_string(firmware_state s) noexcept;
std::optional<firmware_state> parse_firmware_state(std::string_view text) noexcept;

/// Table updates. `state` empty: a seed-only row, never acted on.
struct update {
    update_uuid id;
    device_uuid device_id;            // -> devices.id
    firmware_uuid firmware_id;        // -> firmwares.id
    std::optional<timestamp> sent_at; // when the command was first published
    std::optional<update_state> state;
    std::int64_t state_version = 0; // compare-and-set: raised by one with every change
    int attempt = 1;
    std::optional<std::string> requested_by;
    std::optional<timestamp> not_before;
    std::optional<timestamp> deadline;
    timestamp created_at{};
    timestamp state_at{};
    std::optional<timestamp> step_deadline; // when the present state times out
    int offer_no = 0;                       // counted per attempt; reset with each attempt
    int percent = 0;
    std::int64_t bytes_sent = 0;
    std::optional<std::string> from_version;
    std::optional<std::string> error_code;
    std::optional<std::string> error_text;
    bool allow_downgrade = false;
};

enum class result_status { success, failed, partial };
const char* to_string(result_status s) noexcept;
std::optional<result_status> parse_result_status(std::string_view text) noexcept;

/// Table update_results.
struct update_result {
    result_uuid id;
    device_uuid device_id; // -> devices.id
    std::optional<std::string> firmware_version;
    result_status status = result_status::success;
    timestamp received_at{};              // column "timestamp"
    std::optional<update_uuid> update_id; // null: unsolicited
    std::optional<int> attempt;
    std::optional<std::string> code;
    std::optional<std::string> message;
    std::optional<std::string> device_time; // as told, never trusted
    std::string event_key;                  // unique: a second arrival changes nothing
    bool late = false;                      // arrived after the update had ended
};

/// Table update_events: the history of one update, append-only.
struct update_event {
    event_uuid id;
    update_uuid update_id;
    timestamp at{};
    std::optional<update_state> from_state;
    update_state to_state{};
    int attempt = 1;
    std::string cause;                 // "report", "timeout", "operator", "connection_lost", ...
    std::optional<std::string> detail; // for people
};

/// Table outbox: a word for one gateway, about a device it has. What it holds in memory is no longer what is stored,
/// and it is to look again; twice does no harm.
struct hint {
    hint_uuid id;
    timestamp created_at{};
    gateway_uuid gateway_id; // who is to look
    device_uuid device_id;
    std::string kind; // "look", or "cancel": the device is to be told that `update_id` is canceled
    std::optional<update_uuid> update_id;
};

/// Table api_tokens. Only the hash of a token is ever stored.
struct api_token {
    token_uuid id;
    std::string name; // unique among tokens that are not revoked
    std::string role; // viewer | operator | approver | admin
    std::string hash; // lower-case hex SHA-256 of the token
    timestamp created_at{};
    std::optional<timestamp> expires_at;
    std::optional<timestamp> revoked_at;
    std::optional<timestamp> last_used_at; // written at most once an hour
};

/// What somebody did, for table audit_log.
struct audit_entry {
    timestamp at{};
    std::string actor;                  // the API token's name, "cli", or "fotabroker" itself
    std::string action;                 // "firmware.upload", "update.cancel", ...: stable words
    std::optional<std::string> subject; // the id of what it was done to
    std::optional<std::string> detail;  // for people
};

/// Table audit_log: `entry`'s members are columns like the others. See audit.hpp.
struct audit_row {
    std::int64_t seq = 0; // from 1, without gaps
    audit_entry entry;
    std::string previous_hash; // of the row before
    std::string hash;
};

/// Table idempotency_keys: the answer a POST gave, kept for 24 h.
struct idempotency_record {
    std::string key;          // token id + the client's key
    std::string request_hash; // hex SHA-256 of method, path and body
    int status = 0;
    std::string body;
    timestamp created_at{};
};

/// An update joined with the ids and versions that the API and the command need.
struct update_view {
    update row;
    std::string device_id;        // devices.device_id
    std::string firmware_version; // firmwares.version
};
struct result_view {
    update_result row;
    std::string device_id;
};

} // namespace fb::storage
