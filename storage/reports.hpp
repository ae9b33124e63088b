// The rows of the reports: what the views fleet_versions, firmware_success, firmware_failures, update_durations and
// stuck_devices have, one member per column and in the same order (docs/storage.md says what they mean). Values only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <vector>

#include "storage/records.hpp"

namespace fb::storage {

/// Devices of one type with one version; empty: they told none.
struct fleet_version {
    std::optional<std::string> device_type;
    std::optional<std::string> firmware_version;
    std::int64_t devices = 0;
    std::int64_t online = 0;
};

/// Why updates to a firmware did not succeed, by the state they ended in and the code; "": they ended without one.
struct firmware_failure {
    firmware_uuid firmware_id;
    update_state state{};
    std::string error_code;
    std::int64_t updates = 0;
    timestamp last_at{};
};

/// Canceled, superseded and skipped updates are among `updates` only: they decide nothing.
struct firmware_success {
    firmware_uuid firmware_id;
    std::string device_type;
    std::string version;
    std::int64_t updates = 0;
    std::int64_t in_progress = 0;
    std::int64_t decided = 0; // the sum of the next four
    std::int64_t succeeded = 0;
    std::int64_t failed = 0;
    std::int64_t rejected = 0;
    std::int64_t expired = 0;
    std::int64_t retries = 0;               // attempts after the first ones
    std::optional<double> success_rate;     // succeeded / decided
    std::vector<firmware_failure> failures; // the most frequent first; no column
};

/// From trigger to success, in ascending order the 50th of a hundred and so on; empty: nothing succeeded.
struct update_durations {
    firmware_uuid firmware_id;
    std::string device_type;
    std::string version;
    std::int64_t succeeded = 0;
    std::optional<double> p50_s;
    std::optional<double> p90_s;
    std::optional<double> p99_s;
};

/// An open update that does not get on.
struct stuck_device {
    std::string device_id; // the text id
    std::optional<std::string> device_type;
    update_uuid update_id;
    firmware_uuid firmware_id;
    std::string version; // of the firmware
    update_state state{};
    int attempt = 1;
    std::string reason; // deadline_passed | step_overdue | silent | waiting
    timestamp since{};
    bool online = false;
    std::optional<timestamp> last_seen;
};

inline constexpr std::string_view fleet_columns = "device_type, firmware_version, devices, online";
template <class Row>
requires std::is_same_v<std::remove_const_t<Row>, fleet_version>
auto fields(Row& r) { return std::tie(r.device_type, r.firmware_version, r.devices, r.online); }

inline constexpr std::string_view failure_columns = "firmware_id, state, error_code, updates, last_at";
template <class Row>
requires std::is_same_v<std::remove_const_t<Row>, firmware_failure>
auto fields(Row& r) { return std::tie(r.firmware_id, r.state, r.error_code, r.updates, r.last_at); }

inline constexpr std::string_view success_columns = "firmware_id, device_type, version, updates, in_progress, decided, "
                                                    "succeeded, failed, rejected, expired, retries, success_rate";
template <class Row>
requires std::is_same_v<std::remove_const_t<Row>, firmware_success>
auto fields(Row& r) {
    return std::tie(r.firmware_id, r.device_type, r.version, r.updates, r.in_progress, r.decided, r.succeeded, r.failed,
                    r.rejected, r.expired, r.retries, r.success_rate);
}

inline constexpr std::string_view duration_columns =
    "firmware_id, device_type, version, succeeded, p50_s, p90_s, p99_s";
template <class Row>
requires std::is_same_v<std::remove_const_t<Row>, update_durations>
auto fields(Row& r) {
    return std::tie(r.firmware_id, r.device_type, r.version, r.succeeded, r.p50_s, r.p90_s, r.p99_s);
}

inline constexpr std::string_view stuck_columns = "device_id, device_type, update_id, firmware_id, version, state, "
                                                  "attempt, reason, since, online, last_seen";
template <class Row>
requires std::is_same_v<std::remove_const_t<Row>, stuck_device>
auto fields(Row& r) {
    return std::tie(r.device_id, r.device_type, r.update_id, r.firmware_id, r.version, r.state, r.attempt, r.reason,
                    r.since, r.online, r.last_seen);
}

/// Puts each failure with its firmware. Both lists are in the same order of firmware ids.
void attach(std::vector<firmware_success>& firmwares, std::vector<firmware_failure> failures);

} // namespace fb::storage
