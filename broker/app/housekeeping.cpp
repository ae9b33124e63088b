#include "broker/app/housekeeping.hpp"

#include <algorithm>
#include <future>
#include <memory>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include "broker/app/state_metrics.hpp"

namespace fb::app {
namespace {

constexpr std::chrono::hours between_looks{1};
constexpr int looks_per_day = 24;
constexpr std::chrono::hours file_age_min{1}; // an upload stores the file first and then its row
constexpr std::chrono::hours clock_difference_max{1};
constexpr int rows_per_transaction = 500;

storage::timestamp now() { return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()); }

/// Before which rows may go; nothing: all stay. `time_of` gives the time of the oldest of the newest `rows_max` rows.
template <class TimeOf>
storage::result<std::optional<storage::timestamp>> limit_of(std::chrono::days age, std::int64_t rows_max,
                                                            TimeOf time_of) {
    std::optional<storage::timestamp> out;
    if (age.count() > 0) out = now() - age;
    if (rows_max == 0) return out;
    auto time = time_of(rows_max - 1);
    if (!time) return time.err();
    return std::max(out, *time);
}

void tell(const storage::status& pruned) {
    if (!pruned) spdlog::warn("retention: {}; tried again within the hour", pruned.err().text);
}

} // namespace

housekeeping::housekeeping(const retention_config& keep, storage::fota_store& store, storage::blob_files blobs,
                           submit_function submit, permissions may)
    : keep_(keep)
    , store_(store)
    , blobs_(std::move(blobs))
    , submit_(std::move(submit))
    , may_(std::move(may))
    , thread_([this] { run(); }) {
    ::pthread_setname_np(thread_.native_handle(), "fb-housekeeping");
}

housekeeping::~housekeeping() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

bool housekeeping::stopping() const {
    const std::lock_guard lock(mutex_);
    return stopping_;
}

void housekeeping::run() {
    for (int look = 0; !stopping(); ++look) {
        const bool clock_well = clock_agrees();
        if (const auto reader = store_.open_reader(); !reader) { // not kept: the next look is an hour away
            spdlog::warn("housekeeping: {}; tried again in an hour", reader.err().text);
        } else {
            if (look % looks_per_day == 0 && may_.remove_files()) remove_unneeded_files(**reader);
            if (clock_well && may_.prune()) prune(**reader);
        }
        std::unique_lock lock(mutex_);
        wake_.wait_for(lock, between_looks, [this] { return stopping_; });
    }
}

/// False: it was set since the last look, and what it says may be wrong by years.
bool housekeeping::clock_agrees() {
    const times at{std::chrono::system_clock::now(), std::chrono::steady_clock::now()};
    const auto before = std::exchange(looked_at_, at);
    if (!before) return true;
    const auto difference = (at.wall - before->wall) - (at.steady - before->steady);
    const bool agrees = difference < clock_difference_max && difference > -clock_difference_max;
    if (!agrees) spdlog::warn("retention: the clock was set; nothing is deleted within this hour");
    return agrees;
}

void housekeeping::remove_unneeded_files(storage::fota_reader& reader) {
    const auto old = blobs_.untouched_since(std::chrono::system_clock::now() - file_age_min);
    if (!old) return spdlog::warn("housekeeping: {}", old.err().text);
    const auto gone = blobs_.remove_unneeded(*old, [&]() -> storage::result<std::vector<std::string>> {
        auto needed = reader.needed_checksums();
        if (!needed) return needed.err();
        return storage::blob_names_of(*needed);
    });
    if (!gone) return spdlog::warn("housekeeping: no firmware file was removed: {}", gone.err().text);
    files_.fetch_add(gone->files, std::memory_order_relaxed);
    file_bytes_.fetch_add(static_cast<std::uint64_t>(gone->bytes), std::memory_order_relaxed);
    if (gone->files > 0)
        spdlog::info("housekeeping: {} files that no firmware needs were removed, {} bytes", gone->files, gone->bytes);
}

void housekeeping::prune(storage::fota_reader& reader) {
    const auto results_until =
        limit_of(keep_.results, keep_.results_max, [&](std::int64_t n) { return reader.time_of_result(n); });
    if (!results_until)
        tell(results_until.err());
    else if (*results_until)
        tell(prune_results(reader, **results_until));
    const auto events_until =
        limit_of(keep_.events, keep_.events_max, [&](std::int64_t n) { return reader.time_of_event(n); });
    if (!events_until)
        tell(events_until.err());
    else if (*events_until)
        tell(prune_events(reader, **events_until));
    tell(prune_audit(reader));
}

storage::status housekeeping::prune_results(storage::fota_reader& reader, storage::timestamp older_than) {
    storage::prunable_query<storage::result_uuid> q{older_than, {}, rows_per_transaction};
    while (!stopping()) {
        const auto rows = reader.prunable_results(q);
        if (!rows) return rows.err();
        if (rows->empty()) break;
        storage::prune_history op;
        for (const auto& [time, id] : *rows) op.results.push_back(id);
        if (auto applied = apply(std::move(op)); !applied) return applied;
        results_.fetch_add(rows->size(), std::memory_order_relaxed);
        q.after = rows->back();
    }
    return storage::done{};
}

storage::status housekeeping::prune_events(storage::fota_reader& reader, storage::timestamp older_than) {
    storage::prunable_query<storage::event_uuid> q{older_than, {}, rows_per_transaction};
    while (!stopping()) {
        const auto rows = reader.prunable_events(q);
        if (!rows) return rows.err();
        if (rows->empty()) break;
        storage::prune_history op;
        for (const auto& [time, id] : *rows) op.events.push_back(id);
        if (auto applied = apply(std::move(op)); !applied) return applied;
        events_.fetch_add(rows->size(), std::memory_order_relaxed);
        q.after = rows->back();
    }
    return storage::done{};
}

/// From the beginning on, so that what is left is a chain; the newest stays, for the next one follows it.
storage::status housekeeping::prune_audit(storage::fota_reader& reader) {
    const auto newest = reader.newest_audit_row();
    if (!newest) return newest.err();
    const std::int64_t end = *newest ? (*newest)->seq : 0;
    const auto surplus = [&](const storage::audit_row& row) {
        if (row.seq >= end) return false;
        return (keep_.audit.count() > 0 && row.entry.at < now() - keep_.audit) ||
               (keep_.audit_max > 0 && row.seq <= end - keep_.audit_max);
    };
    while (!stopping()) {
        const auto rows = reader.audit_rows(0, rows_per_transaction);
        if (!rows) return rows.err();
        const auto kept = std::find_if_not(rows->begin(), rows->end(), surplus);
        if (kept == rows->begin()) break;
        if (auto applied = apply({{}, {}, std::prev(kept)->seq + 1}); !applied) return applied;
        audit_.fetch_add(static_cast<std::uint64_t>(kept - rows->begin()), std::memory_order_relaxed);
    }
    return storage::done{};
}

/// In a transaction with what devices report meanwhile.
storage::status housekeeping::apply(storage::prune_history op) {
    const auto outcome = std::make_shared<std::promise<storage::fota_outcome>>();
    submit_(std::move(op), [outcome](storage::fota_outcome o) { outcome->set_value(std::move(o)); });
    const auto done = outcome->get_future().get();
    if (!done) return done.err();
    return storage::done{};
}

void housekeeping::append_metrics(std::string& out) const {
    const auto value = [](const std::atomic<std::uint64_t>& n) { return n.load(std::memory_order_relaxed); };
    append_metric(out, "fotabroker_retention_results_total", "counter", "Results deleted for their age or number",
                  value(results_));
    append_metric(out, "fotabroker_retention_events_total", "counter", "Events deleted for their age or number",
                  value(events_));
    append_metric(out, "fotabroker_retention_audit_total", "counter",
                  "Entries of the audit log deleted for their age or number", value(audit_));
    append_metric(out, "fotabroker_orphan_files_removed_total", "counter", "Firmware files removed that no row needs",
                  value(files_));
    append_metric(out, "fotabroker_orphan_bytes_removed_total", "counter", "Their bytes", value(file_bytes_));
}

} // namespace fb::app
