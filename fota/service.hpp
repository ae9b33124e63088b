// Firmware updates on one gateway: devices' reports in, commands and database rows out, operators' wishes from HTTP.
//
// Sans-I/O: `now` comes with every call, effects leave through the ports, nothing blocks but store_port::reader(). All
// calls happen on one thread (fota_thread.hpp runs one; tests just call).
//
// Invariants: open updates in memory are authoritative; of each device one write at a time is in flight, what follows
// waits for it, and after a failed one memory is read again; a report is acknowledged only after its commit; a command
// is published only after its `offered` is committed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "fota/ports.hpp"
#include "fota/settings.hpp"
#include "storage/blob_files.hpp"
#include "storage/gateway_store.hpp"
#include "storage/records.hpp"

namespace fb::fota {

using storage::timestamp;

/// An incoming publication on a FOTA topic below device/{id}/ by the peer itself.
struct report {
    peer from;
    std::string topic;
    std::string payload;
    bool wants_ack = false; // QoS > 0: `token` is to be acknowledged exactly once
    ack_token token;
    std::string response_topic; // MQTT 5
    std::string correlation;
    std::optional<timestamp> received_at{}; // when it has waited in the spool since
};

/// Where reports are kept, on this machine's disk, while the database is away; in the order of their coming. Calls from
/// the FOTA thread.
class report_spool {
  public:
    virtual ~report_spool() = default;
    /// It has a `received_at`. `done` comes later on the FOTA thread: true once it is on the disk, false when there is
    /// no room or no disk.
    virtual void keep(const report& r, std::function<void(bool)> done) = 0;
    /// The oldest ones, the same until forget(); a few, so that memory holds no more.
    virtual std::vector<report> oldest() = 0;
    /// What oldest() gave is in the database. False: it could not be forgotten, and will be given again.
    virtual bool forget() = 0;
    /// How many there are, by device.
    virtual std::unordered_map<std::string, std::size_t> devices() = 0;
};

/// An operator's request or download that cannot be done: becomes problem+json.
struct problem {
    int status = 500;   // HTTP
    std::string reason; // a stable word: "unknown_device", "wrong_type", "downgrade", "busy", "blocked", "not_found"...
    std::string detail; // for people: what, where, what to do
};

template <class T>
using reply = std::function<void(std::optional<T>, problem)>; // value, or nothing and the problem

struct trigger_request {
    std::string firmware_id;
    std::vector<std::string> device_ids;    // either these
    std::optional<std::string> device_type; // or all devices of a type
    bool allow_downgrade = false;           // the caller has checked that the role allows it
    std::string requested_by;
};
struct refusal {
    std::string device_id, reason, detail;
};
struct trigger_answer {
    std::vector<storage::update_view> updates; // one per device that was not refused
    std::vector<refusal> refused;
    bool created = false; // at least one is new
};

/// What memory knows better than the database.
struct live_device {
    std::string device_id;
    bool online = false;
    std::optional<timestamp> last_seen;
    std::optional<storage::update_view> open_update; // exact percent and bytes
};

/// The query part of a download URL, or the certificate alone.
struct download_request {
    std::string firmware_id;
    std::optional<std::string> update_id, attempt, expires, signature; // u, a, e, s
    std::optional<std::string> certificate_device_id;
    bool by_operator = false; // an API token has been checked: no update involved
};
struct download_grant {
    storage::firmware firmware;
    std::optional<storage::update_uuid> update_id; // set: served bytes are booked on this update
    int attempt = 0;
};

struct explain_reason {
    std::string code, text;
};
struct explanation {
    std::optional<storage::update_view> update;
    std::vector<explain_reason> reasons;
};

/// For /api/v1/events and the demo: called on the FOTA thread at each committed transition and progress report.
struct update_notice {
    storage::update_uuid update_id;
    std::string device_id;
    storage::update_state state{};
    int percent = 0;
};

struct counters {
    std::uint64_t reports_accepted = 0, reports_malformed = 0, reports_refused = 0, reports_duplicate = 0;
    std::uint64_t offers = 0, chunks = 0, chunk_bytes = 0, store_failures = 0;
    std::uint64_t reports_spooled = 0, reports_replayed = 0;
};

class service {
  public:
    service(settings s, broker_port& broker, store_port& store, storage::blob_files blobs);
    ~service();

    /// Loads open updates; everybody is offline. An error says why FOTA cannot start.
    storage::status start(timestamp now);
    /// Whether the start could write, too: then other gateways know this one.
    bool registered() const;

    // From the broker. `ready` says that one of this device's own sessions holds a subscription matching its update
    // topic; it is repeated with each SUBSCRIBE to it, because each makes the open command be published again.
    void device_connected(const peer& who, timestamp now);
    void device_ready(const peer& who, timestamp now);
    void device_not_ready(const peer& who, timestamp now); // unsubscribed
    void device_disconnected(const peer& who, timestamp now);
    void on_report(report r, timestamp now);

    // From the other gateways on the same database.
    /// Looks again at devices whose rows somebody else has changed. `done` names the hints whose work is done.
    void attend(std::vector<storage::hint_view> hints, timestamp now,
                std::function<void(std::vector<storage::hint_uuid>)> done);
    /// Every half minute or so: a device that is connected here too may have lost its other gateway.
    void look_around(timestamp now);

    // Island mode: the database is away, what is known goes on, nothing new begins, and reports are kept in the spool.
    /// Before start(). Without one, reports are not acknowledged while the database is away.
    void use_spool(report_spool& spool);
    /// As somebody else found out; a write that fails says so, too. With its end the spool is gone through.
    void database_away(bool away, timestamp now);

    /// `wanted` is asked for a firmware's file that is not here; again each time it is looked for. On the FOTA thread.
    void on_missing_file(std::function<void(const storage::firmware&)> wanted);
    void file_missing(const storage::firmware& f); // found out by somebody else
    void file_arrived(const std::string& sha256_hex, timestamp now);

    // From operators, through HTTP: `by` is for the audit log. Replies come later, on the FOTA thread.
    void trigger(trigger_request request, timestamp now, reply<trigger_answer> done);
    void cancel(const std::string& update_id, const std::string& by, timestamp now, reply<storage::update_view> done);
    /// 409 when it exists; `uploaded_by` is who did it. HTTP has judged the version: semantic, or free for this device
    /// type.
    void add_firmware(storage::firmware row, timestamp now, reply<storage::firmware> done);
    void revoke_firmware(const std::string& firmware_id, const std::string& by, timestamp now,
                         reply<storage::firmware> done);
    void patch_device(storage::patch_device change, const std::string& by, timestamp now, reply<storage::device> done);
    /// 409 while an update is past `accepted`, unless `force`. A device that is connected or comes back registers
    /// itself again with its next status. Replies with what it was.
    void delete_device(const std::string& device_id, bool force, const std::string& by, timestamp now,
                       reply<storage::device> done);
    /// 409 while an open update or a device needs it. The file is the caller's to remove.
    void delete_firmware(const std::string& firmware_id, const std::string& by, timestamp now,
                         reply<storage::firmware> done);
    void explain(const std::string& device_id, timestamp now, reply<explanation> done);
    void live(std::vector<std::string> device_ids, reply<std::vector<live_device>> done);

    // Downloads. Served bytes move the state: the first to downloading, the last to downloaded.
    void authorize_download(const download_request& request, timestamp now, reply<download_grant> done);
    void bytes_served(const download_grant& grant, std::int64_t first, std::int64_t end, timestamp now);

    /// Time-outs. next_deadline() is when on_time() wants to be called at the latest.
    void on_time(timestamp now);
    std::optional<timestamp> next_deadline() const;

    void on_notice(std::function<void(const update_notice&)> listener);
    const counters& statistics() const;

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

} // namespace fb::fota
