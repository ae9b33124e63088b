// The inside of the service, shared by its source files (service*.cpp); not for callers.
//
// 1. A slot is everything memory holds of one device: while it is connected, has an open update or has work waiting.
// 2. Work on a device goes through its mailbox, and at most one write per device is in flight: its outcome is known
//    before the next decision, a failed one leaves memory as it was. Writes of different devices share commits.
// 3. Memory takes a row over when its write is committed; effects (acknowledge, publish) follow that. Ahead of the
//    database are only bytes, percent and the idle time-out of a download.
// 4. settle() brings a slot to rest: it looks at what is, not at what happened, so calling it again repairs.
// 5. With several gateways on one database (settings.shared) memory is right for devices that are ours, by gateway_id.
//    Others' are read anew for each piece of work, told to their gateway (say_whose), and not decided or published for.
#pragma once

#include <deque>
#include <map>
#include <random>
#include <set>
#include <unordered_map>

#include "fota/block_cache.hpp"
#include "fota/device_update.hpp"
#include "fota/service.hpp"
#include "fota/topics.hpp"
#include "fota/transfer.hpp"
#include "fota/wire.hpp"

namespace fb::fota {

inline constexpr std::size_t mailbox_reports_max = 256; // of one device, waiting for the database
inline constexpr int conflicts_max = 3;           // a job is decided anew that often when somebody else was faster
inline constexpr std::size_t trigger_window = 64; // devices of one trigger in hand at once

/// The name of its file.
inline std::string sha256_of(const storage::firmware& f) {
    constexpr std::string_view prefix = "sha256:";
    return f.checksum.starts_with(prefix) ? f.checksum.substr(prefix.size()) : f.checksum;
}

inline problem unavailable(const std::string& text) {
    return {503, "unavailable", "the database cannot be used now: " + text};
}

struct slot;
using job = std::function<void(slot&)>;

enum class written {
    done,
    duplicate,   // the report was stored before; nothing changed
    refused,     // the store will never take it
    unavailable, // not now; memory has been reloaded
};
using after_write = std::function<void(slot&, written)>;

struct connection {
    connection_ref ref;
    bool ready = false; // holds a subscription to the update topic
};

struct open_update {
    storage::update_view view;
    std::shared_ptr<const storage::firmware> firmware; // loaded when needed
    std::optional<timestamp> progress_written_at;
    bool fetched = false; // bytes were served since settle() looked
    bool fetched_all = false;
    bool confirmed = false;     // verifying: the target version was reported, only the soak time is left
    bool other_version = false; // verifying: another version was reported
    bool away = false;          // verifying: the device went away...
    bool returned = false;      // ...and came back
};

struct slot {
    std::string device_id;
    std::optional<storage::device> row; // nothing: not registered, or not read yet
    std::optional<open_update> open;

    std::vector<connection> connections;
    std::optional<std::string> address, fingerprint; // of the newest connection
    std::optional<timestamp> last_seen;              // exact
    bool said_offline = false;                       // told by the device while connected
    bool connection_lost = false;                    // the last one went; settle() has not looked yet
    transfer_table transfers;

    std::deque<job> mailbox;
    job current;
    std::size_t reports_waiting = 0;
    bool running = false;
    bool busy = false; // a write is in flight
    bool settle_queued = false;
    bool claim_due = false;                           // connected here, and the database does not know it yet
    bool announce_due = false;                        // asked for its open command while it was not known to be ours
    bool claim_in_hand = false, lost_in_hand = false; // what the write in flight takes care of
    int conflicts = 0;

    std::optional<timestamp> wake; // its place in the timers
    std::optional<timestamp> retry_at;
    int failures = 0;

    bool online() const { return !connections.empty() && !said_offline; }
    bool ready() const;
    bool holds(const connection_ref& ref) const;
};

struct service::impl {
    impl(settings s, broker_port& b, store_port& st, storage::blob_files blobs);

    // service_slots.cpp: slots, their mailboxes, writes and timers
    void see(timestamp t);
    slot& obtain(const std::string& device_id);
    slot* peek(const std::string& device_id);
    bool ours(const slot& s) const;
    bool ensure_loaded(slot& s);
    bool reload(slot& s);
    std::optional<storage::hint> hint_to_owner(const slot& s, std::string kind,
                                               std::optional<storage::update_uuid> update = {}) const;
    void say_whose(const slot& s, storage::fota_operation& op) const;
    std::shared_ptr<const storage::firmware> firmware_of(slot& s);
    std::shared_ptr<const storage::firmware> fresh_firmware_of(slot& s);
    bool file_here(const storage::firmware& f) const;
    void run(slot& s); // may drop the slot: nothing may touch it afterwards
    void enqueue(slot& s, job j);
    void request_settle(slot& s);
    void write(slot& s, storage::fota_operation op, after_write after);
    void complete(slot& s, const storage::fota_operation& op, const storage::fota_outcome& outcome,
                  const after_write& after);
    void install(slot& s, const storage::fota_operation& op);
    void install(slot& s, storage::update row);
    void retry_later(slot& s);
    std::optional<timestamp> next_wake(const slot& s) const;
    void rearm(slot& s);
    void drop_if_idle(slot& s);
    void clock_set_back(std::chrono::milliseconds back);
    void notify(const std::string& device_id, const storage::update& row, update_state state);

    // service_reports.cpp: what devices publish
    void on_report(report r);
    void answer(const report& r, verdict v, std::string_view reason);
    bool admit(slot& s, const report& r);
    std::optional<storage::device> registered(slot& s, const peer& from);
    void touch(slot& s, storage::device& d, const report& r) const;
    bool outdated(const slot& s, const report& r) const;
    void on_status(slot& s, const report& r, const status_report& status);
    std::optional<step> version_reported(slot& s, const std::string& version, const std::optional<std::string>& boot_id,
                                         const storage::device& before);
    std::optional<step> late_version_proof(slot& s, const std::string& version, const storage::device& before);
    std::optional<step> late_proof(const storage::update& row);
    std::optional<step> target_reached(slot& s, bool confirmation_outstanding);
    void on_progress(slot& s, const report& r, const progress_report& progress);
    after_write acknowledge_after(const report& r);

    // service_island.cpp: the database is away
    bool at_rest(const slot& s) const { return away || spooled.contains(s.device_id); }
    bool belongs_in_spool(const report& r) const;
    void keep(const report& r);
    void not_now(const report& r, std::string_view reason);
    void replay();
    void replay_ended(verdict v);
    void batch_ended();
    void settle_all();

    // service_results.cpp
    struct booking;
    void on_result(slot& s, const report& r, const result_report& result);
    std::optional<booking> find_booking(slot& s, const result_report& result);
    bool stored_before(const slot& s, const result_report& result, const storage::update_uuid& ended);
    std::optional<step> step_of_result(slot& s, const booking& b, const result_report& result);

    // service_offers.cpp: what the state machine does by itself
    void settle(slot& s);
    std::optional<step> due_step(slot& s);
    std::optional<step> timed_out(slot& s);
    bool presence(const slot& s, storage::device& d) const;
    std::optional<explain_reason> obstacle(slot& s);
    void publish_install(slot& s);
    void announce(slot& s);
    void publish_cancel(const std::string& device_id, const storage::update_uuid& id);
    occasion because(std::string cause);
    storage::record_report operation(const slot& s, const step& st) const;
    static storage::record_report operation(const storage::update& row); // progress alone: no state, no history
    bool progress_due(const open_update& open) const;
    void count_outcome(storage::device& d, const step& st) const;

    // service_operators.cpp
    struct trigger_run;
    void trigger_next(std::shared_ptr<trigger_run> run);
    void trigger_one(slot& s, const std::shared_ptr<trigger_run>& run, std::size_t place);
    std::optional<refusal> objection(const slot& s, const trigger_run& run);
    std::optional<refusal> version_objection(const slot& s, const trigger_run& run);
    storage::create_update new_update(const slot& s, const trigger_run& run);
    slot* slot_of(const storage::update_uuid& id);
    void cancel_open(slot& s, const storage::update_uuid& id, const std::string& by,
                     const reply<storage::update_view>& done);
    void cancel_ended(const storage::update_uuid& id, const reply<storage::update_view>& done);
    std::optional<storage::firmware> find_firmware(const std::string& id, problem& why);

    // service_deletions.cpp
    void delete_device(slot& s, bool force, const std::string& by, const reply<storage::device>& done);

    // service_audit.cpp
    storage::audit_entry audit(std::string by, std::string action, std::string subject, std::string detail) const;
    storage::audit_entry audit(std::string by, std::string action, const storage::firmware& f) const;
    storage::audit_entry audit(const std::string& by, const storage::patch_device& change) const;
    storage::audit_entry audit_trigger(const trigger_request& request, const storage::firmware& f,
                                       const std::vector<std::string>& device_ids) const;
    std::optional<storage::audit_entry> audit_lost_cancel(const slot& s, const step& st) const;

    // service_explain.cpp
    explanation explain(slot& s);
    std::vector<explain_reason> explain_open(slot& s);

    // service_downloads.cpp
    void on_fetch(slot& s, const report& r, const fetch_request& request);
    void fetch_failed(const report& r, std::optional<std::uint32_t> rid, std::string_view code, std::string_view text);
    std::optional<problem> fetch_problem(slot& s, const report& r, const fetch_request& request);
    bool send_chunks(slot& s, const report& r, const fetch_request& request);
    void book_bytes(slot& s, int attempt, std::int64_t end);
    std::optional<download_grant> grant_by_certificate(const download_request& request);
    std::optional<download_grant> grant_by_signature(const download_request& request, problem& why);
    std::optional<storage::firmware> firmware_for(const download_grant& grant, const std::string& id, problem& why);
    std::optional<storage::update_view> find_any_update(const storage::update_uuid& id);

    settings limits;
    broker_port& broker;
    store_port& store;
    block_cache blocks;
    counters count;
    std::function<void(const update_notice&)> listener;
    std::function<void(const storage::firmware&)> wanted_file;
    report_spool* spool = nullptr;
    bool away = false;                                    // the database
    std::unordered_map<std::string, std::size_t> spooled; // reports in the spool, by device
    std::vector<std::string> batch;                       // the devices of those being replayed
    std::size_t replays_in_hand = 0;
    bool replay_failed = false;
    timestamp now{};
    std::optional<storage::gateway_uuid> self; // once our row is stored: others refer to it
    std::mt19937 random;
    std::unordered_map<std::string, std::unique_ptr<slot>> slots;
    std::map<storage::update_uuid, slot*> by_update;
    std::set<std::pair<timestamp, slot*>> timers;
    std::size_t transfers = 0;
};

} // namespace fb::fota
