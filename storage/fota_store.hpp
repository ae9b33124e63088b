// What FOTA asks of a database: intents, each atomic, applied in batches with one outcome per operation; and queries.
// No rows, cursors or transactions cross this interface, and nothing in it assumes SQLite.
//
// fota_store is written by one thread (the group-commit writer, async_store.hpp). fota_reader is for queries: each
// thread that reads opens one of its own and keeps it to itself.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "storage/error.hpp"
#include "storage/records.hpp"
#include "storage/reports.hpp"

namespace fb::storage {

/// An update as it shall be, if the row's state_version still is `expected_version`. The store writes all of
/// `wanted` and sets state_version to expected_version + 1; otherwise the whole operation is a conflict.
struct update_change {
    update wanted;
    std::int64_t expected_version = 0;
};

/// Whose a device was when the caller read its row. An operation that finds it to be somebody else's by now is a
/// conflict: another gateway has taken it since, and knows better.
struct ownership {
    std::string device_id; // the text id; no such row: nobody's
    std::optional<gateway_uuid> gateway_id;
    std::int64_t session_epoch = 0;
};

// An operation with an `audit` that is done puts it into audit_log in the same transaction; one that changed nothing
// does not.

/// Everything one device report (or connection event, or time-out) changes, in one go. With a `result` whose
/// event_key exists already nothing at all is changed and the outcome is `duplicate`.
struct record_report {
    std::optional<device> device_row; // inserted, or replaced by device_id, but for id, first_seen and what is an
                                      // operator's: tags, and name and type that he set
    std::optional<update_change> change;
    std::optional<update_result> result;
    std::vector<update_event> events;
    std::optional<ownership> owner{}; // must still hold
    std::optional<hint> tell{};       // stored with it
    std::optional<audit_entry> audit{};
};

/// A new update, in state pending, scheduled or skipped. `superseded` are changed first, in the same transaction.
/// conflict: the device has an open update that is not among them.
struct create_update {
    update row;
    std::vector<update_change> superseded;
    std::vector<update_event> events;
    std::optional<hint> tell{};
    std::optional<audit_entry> audit{};
};

/// conflict: (device_type, version) exists.
struct save_firmware {
    firmware row;
    std::optional<audit_entry> audit{};
};

/// not_found: no such firmware. duplicate: it is in that state.
struct set_firmware_state {
    firmware_uuid id;
    firmware_state state{};
    std::optional<audit_entry> audit{};
};

/// What an operator may set; empty members are left alone. not_found: no such device. duplicate: all of it is so.
struct patch_device {
    std::string device_id;
    std::optional<std::string> name;
    std::optional<std::string> type;
    std::optional<std::string> tags; // JSON array
    std::optional<hint> tell{};
    std::optional<audit_entry> audit{};
};

/// The device and all rows about it, its history included. not_found: no such device. conflict: it has an open update,
/// and that is not to go along.
struct delete_device {
    std::string device_id;
    bool with_open_update = false;
    std::optional<audit_entry> audit{};
};

/// The row, or, when updates or rollouts that have ended name it, only what makes it a firmware: it is revoked then and
/// has no url. not_found: no such firmware. conflict: an open update, a rollout that has not ended, or a device that
/// runs this version needs it. duplicate: only the row is left already.
struct delete_firmware {
    firmware_uuid id;
    std::optional<audit_entry> audit{};
};

/// These rows of the history; ones that are not there any more are no fault.
struct prune_history {
    std::vector<result_uuid> results;
    std::vector<event_uuid> events;
    std::int64_t audit_before = 0; // rows of audit_log with a lower seq
};

/// At a gateway's start: its row, and none of its devices is connected yet.
struct gateway_started {
    gateway row;
    bool alone = false; // no other gateway has this database: all devices are this one's
};

/// conflict: the name is taken by a token that is not revoked.
struct save_token {
    api_token row;
    std::optional<audit_entry> audit{};
};
/// not_found: no such token. duplicate: it was revoked before.
struct revoke_token {
    token_uuid id;
    timestamp at{};
    std::optional<audit_entry> audit{};
};
struct touch_token {
    token_uuid id;
    timestamp at{};
};

/// conflict: the key exists.
struct save_idempotency {
    idempotency_record row;
};
struct prune_idempotency {
    timestamp older_than{};
};

using fota_operation = std::variant<record_report, create_update, save_firmware, set_firmware_state, patch_device,
                                    gateway_started, save_token, revoke_token, touch_token, save_idempotency,
                                    prune_idempotency, delete_device, delete_firmware, prune_history>;

enum class applied {
    done,
    duplicate, // nothing was changed: the event_key was there already, or what is asked for is so
};
using fota_outcome = result<applied>;

/// A page of a list: `next` is an opaque cursor, empty when there is no more.
template <class Row>
struct page {
    std::vector<Row> items;
    std::optional<std::string> next;
};

/// Filters are conjunctive; empty ones do not filter. Limits are 1-500. An unreadable cursor is error_kind::invalid.
struct list_query {
    int limit = 50;
    std::optional<std::string> cursor{};
    std::optional<std::string> device_id{}; // the text id
    std::optional<std::string> device_type{};
    std::optional<std::string> state{};  // update or firmware state
    std::optional<std::string> status{}; // result status
    std::optional<std::string> firmware_id{};
};

/// Which rows of the history may go: older than this, behind `after`, at most so many. Oldest first.
template <class Id>
struct prunable_query {
    timestamp older_than{};
    std::optional<std::pair<timestamp, Id>> after{}; // the last one of the query before
    int limit = 500;
};
template <class Id>
using prunable_rows = std::vector<std::pair<timestamp, Id>>;

class fota_reader {
  public:
    virtual ~fota_reader() = default;

    virtual result<std::optional<device>> find_device(const std::string& device_id) = 0;
    virtual result<std::optional<device>> find_device(const device_uuid& id) = 0;
    virtual result<std::optional<firmware>> find_firmware(const firmware_uuid& id) = 0;
    virtual result<std::optional<firmware>> find_firmware(const std::string& device_type,
                                                          const std::string& version) = 0;
    virtual result<std::optional<update_view>> find_update(const update_uuid& id) = 0;
    /// The one open update of a device.
    virtual result<std::optional<update_view>> find_open_update(const std::string& device_id) = 0;
    /// The newest update of a device, open or ended, that has a state.
    virtual result<std::optional<update_view>> find_latest_update(const std::string& device_id) = 0;
    /// All open updates, or those of one gateway's devices, for the start: in the order of their ids.
    virtual result<std::vector<update_view>> open_updates(const std::optional<gateway_uuid>& of = {}) = 0;

    virtual result<page<device>> list_devices(const list_query& q) = 0;             // by device_id
    virtual result<page<firmware>> list_firmwares(const list_query& q) = 0;         // newest first; no seed-only rows
    virtual result<page<update_view>> list_updates(const list_query& q) = 0;        // newest first; no seed-only rows
    virtual result<page<result_view>> list_results(const list_query& q) = 0;        // newest first
    virtual result<std::vector<update_event>> events_of(const update_uuid& id) = 0; // oldest first
    /// The text ids of all devices of a type.
    virtual result<std::vector<std::string>> devices_of_type(const std::string& device_type) = 0;

    /// Reports: each page is counted anew over the whole table. stuck_devices goes by the database's clock.
    virtual result<page<fleet_version>> report_fleet(const list_query& q) = 0;        // by type and version, as texts
    virtual result<page<firmware_success>> report_firmwares(const list_query& q) = 0; // newest firmware first
    virtual result<page<update_durations>> report_durations(const list_query& q) = 0; // newest firmware first
    virtual result<page<stuck_device>> report_stuck_devices(const list_query& q) = 0; // by device_id

    /// Results but the newest of each device, and none of an open update; those of other programs (no event_key) are
    /// not among them.
    virtual result<prunable_rows<result_uuid>> prunable_results(const prunable_query<result_uuid>& q) = 0;
    /// Events of updates that have ended.
    virtual result<prunable_rows<event_uuid>> prunable_events(const prunable_query<event_uuid>& q) = 0;
    /// When the newest row was made but for so many newer ones; nothing: there are not more than those.
    virtual result<std::optional<timestamp>> time_of_result(std::int64_t newer_ones) = 0;
    virtual result<std::optional<timestamp>> time_of_event(std::int64_t newer_ones) = 0;
    /// The audit log from its beginning, behind a seq.
    virtual result<std::vector<audit_row>> audit_rows(std::int64_t after_seq, int limit) = 0;
    virtual result<std::optional<audit_row>> newest_audit_row() = 0;
    /// The checksums of all firmwares that need their file: those of other programs, too, but not deleted ones.
    virtual result<std::vector<std::string>> needed_checksums() = 0;

    virtual result<std::optional<api_token>> find_token(const std::string& hash) = 0; // revoked and expired ones too
    virtual result<std::vector<api_token>> list_tokens() = 0;
    virtual result<std::optional<idempotency_record>> find_idempotency(const std::string& key) = 0;
};

class fota_store {
  public:
    virtual ~fota_store() = default;

    /// Applies all operations in order, durably, with one outcome each: a bad one never takes its neighbours along.
    /// When the commit itself fails every outcome is that error and nothing was applied.
    virtual std::vector<fota_outcome> apply(std::span<const fota_operation> operations) = 0;

    virtual result<std::unique_ptr<fota_reader>> open_reader() = 0; // any thread
    /// To its files, since it was opened, about. Any thread.
    virtual std::uint64_t written_bytes() const noexcept { return 0; }
};

} // namespace fb::storage
