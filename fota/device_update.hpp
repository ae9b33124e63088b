// The state machine of one device's update (fota.md section 3), as a table and pure functions over the row.
//
// Nothing here looks at a clock, a connection or a store: a stimulus and the time go in, the row as it shall be and the
// history to write come out. What to do about it (commit, publish, acknowledge) is the service's business.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fota/settings.hpp"
#include "fota/wire.hpp"
#include "storage/records.hpp"

namespace fb::fota {

using storage::timestamp;
using storage::update_state;

/// Everything that can happen to an update.
enum class stimulus {
    offer,             // the command is about to be published (again)
    accepted,          // report
    downloading,       // report, or the first byte served
    downloaded,        // report, or the last byte served
    installing,        // report
    rebooting,         // report
    rejected,          // report
    deferred,          // report: later, please
    proven,            // the device has the target version, and nothing is left to wait for
    already_installed, // the device had the target version before anything was offered
    early_success,     // success with the target version; a soak time or a confirmation is outstanding
    wrong_version,     // success with another version
    failed,            // result
    partial,           // result
    rolled_back,       // the device came back with another version
    connection_lost,   // before the offer was accepted
    no_response,       // the last offer of this attempt went unanswered
    timed_out,         // the present state's time is over
    deadline_passed,   // of an update that never started
    cancel,            // operator
    supersede,         // a newer trigger
};
inline constexpr int stimulus_count = static_cast<int>(stimulus::supersede) + 1;
inline constexpr int state_count = static_cast<int>(update_state::skipped) + 1;

/// The table: where a stimulus leads from a state, or nothing when it changes nothing there. A failure's retry is not
/// in the table; advance() adds it.
std::optional<update_state> next_state(update_state from, stimulus s) noexcept;

/// True when the device holds a command of this attempt that it may still answer.
bool offer_outstanding(const storage::update& row) noexcept;

/// What goes along with a stimulus.
struct occasion {
    timestamp now{};
    std::string cause;                     // of the event: "report", "timeout", "operator", "connection_lost"...
    std::optional<std::string> error_code; // of failed and rejected
    std::optional<std::string> error_text;
    std::optional<std::chrono::seconds> retry_after; // of deferred
    std::uint32_t random = 0;                        // jitter of a retry
};

/// A change of the row with its history.
struct step {
    storage::update wanted; // state_version is still the old one
    std::vector<storage::update_event> events;
    bool attempt_failed = false; // counts for the penalty box
    bool succeeded = false;
};

std::optional<step> advance(const storage::update& row, stimulus s, const occasion& o, const settings& limits);

/// For a report on progress; the cause is "report".
stimulus stimulus_of(progress_state s) noexcept;

/// 1, 2, 4... times the base, plus up to a quarter of it, so that a fleet does not come back in step.
std::chrono::seconds retry_delay(int failed_attempt, std::chrono::seconds base, std::uint32_t random);

/// error_code of a time-out in this state.
const char* timeout_code(update_state s) noexcept;

/// Moves the row's timers after the clock was set back by `back`, so that no wait gets longer than it was meant to be.
void shift_timers(storage::update& row, std::chrono::milliseconds back);

} // namespace fb::fota
