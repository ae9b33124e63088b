#include "fota/device_update.hpp"

#include <algorithm>

namespace fb::fota {
namespace {

using enum update_state;
using state_set = std::uint32_t;

constexpr state_set bit(update_state s) { return 1U << static_cast<unsigned>(s); }
constexpr state_set from_to(update_state first, update_state last) {
    state_set set = 0;
    for (auto s = static_cast<int>(first); s <= static_cast<int>(last); ++s) set |= bit(static_cast<update_state>(s));
    return set;
}

struct row {
    stimulus event;
    state_set from;
    update_state to;
};

// `pending` among the states that reports leave: the command was sent, then the connection broke (offer_outstanding).
constexpr row table[] = {
    {stimulus::offer, from_to(pending, offered), offered},
    {stimulus::accepted, from_to(pending, offered), accepted},
    {stimulus::downloading, from_to(pending, accepted), downloading},
    {stimulus::downloaded, from_to(pending, downloading), downloaded},
    {stimulus::installing, from_to(pending, downloaded), installing},
    {stimulus::rebooting, from_to(pending, installing), verifying},
    {stimulus::rejected, from_to(pending, downloaded), rejected},
    {stimulus::deferred, from_to(pending, accepted), pending}, // the one way back
    {stimulus::proven, from_to(pending, verifying), succeeded},
    {stimulus::proven, bit(failed) | bit(expired) | bit(canceled), succeeded}, // late proof
    {stimulus::already_installed, from_to(scheduled, pending), skipped},
    {stimulus::early_success, from_to(pending, installing), verifying},
    {stimulus::wrong_version, from_to(pending, verifying), failed},
    {stimulus::failed, from_to(pending, verifying), failed},
    {stimulus::partial, from_to(pending, verifying), failed},
    {stimulus::rolled_back, bit(verifying), failed},
    {stimulus::connection_lost, bit(offered), pending},
    {stimulus::no_response, from_to(pending, offered), failed},
    {stimulus::timed_out, from_to(accepted, verifying), failed},
    {stimulus::deadline_passed, from_to(scheduled, pending), expired},
    {stimulus::cancel, from_to(scheduled, downloaded), canceled}, // later it would leave a half-written device
    {stimulus::supersede, from_to(scheduled, offered), superseded},
};

bool needs_offer(stimulus s) { return s >= stimulus::accepted && s <= stimulus::deferred; }

/// What the penalty box counts: attempts that ended badly on the device, not those it never took part in.
bool counts_against_device(stimulus s, update_state from) {
    return s == stimulus::failed || s == stimulus::partial || s == stimulus::rolled_back ||
           (s == stimulus::timed_out && from == verifying);
}

bool final_failure(stimulus s) { return s == stimulus::rolled_back || s == stimulus::wrong_version; }

std::optional<timestamp> step_deadline(update_state s, timestamp now, const settings& limits) {
    switch (s) {
    case offered: return now + limits.offer_timeout;
    case accepted: return now + limits.accepted_timeout;
    case downloading: return now + limits.download_idle_timeout;
    case downloaded: return now + limits.downloaded_timeout;
    case installing: return now + limits.install_timeout;
    case verifying: return now + limits.verify_timeout;
    default: return std::nullopt;
    }
}

void enter(storage::update& w, update_state to, const occasion& o, const settings& limits) {
    w.state = to;
    w.state_at = o.now;
    w.step_deadline = step_deadline(to, o.now, limits);
}

/// What the ids of events are made of, by which a history is sorted. The last change may have been another gateway's,
/// made after we read our clock and before we read the row.
timestamp time_behind(timestamp last_change, timestamp now) {
    constexpr std::chrono::minutes plausible{1};
    return last_change - now < plausible ? std::max(now, last_change + std::chrono::milliseconds(1)) : now;
}

void note(step& out, update_state from, update_state to, const occasion& o, std::string cause, timestamp id_time) {
    out.events.push_back({storage::new_id<storage::event_uuid>(id_time), out.wanted.id, o.now, from, to,
                          out.wanted.attempt, std::move(cause), o.error_text ? o.error_text : o.error_code});
}

void begin_attempt(step& out, const occasion& o, const settings& limits, timestamp id_time) {
    auto& w = out.wanted;
    const auto wait = retry_delay(w.attempt, limits.retry_backoff, o.random);
    ++w.attempt;
    w.offer_no = 0;
    w.percent = 0;
    w.bytes_sent = 0;
    enter(w, pending, o, limits);
    w.not_before = o.now + wait;
    note(out, failed, pending, o, "retry", id_time);
}

} // namespace

std::optional<update_state> next_state(update_state from, stimulus s) noexcept {
    for (const auto& r : table)
        if (r.event == s && (r.from & bit(from))) return r.to;
    return std::nullopt;
}

bool offer_outstanding(const storage::update& u) noexcept {
    if (u.state != pending) return u.state >= offered && u.state <= verifying;
    return u.offer_no > 0 && !u.not_before; // a deferral or a retry sets not_before
}

std::optional<step> advance(const storage::update& current, stimulus s, const occasion& o, const settings& limits) {
    if (!current.state) return std::nullopt;
    const auto from = *current.state;
    const auto to = next_state(from, s);
    if (!to || (from == pending && needs_offer(s) && !offer_outstanding(current))) return std::nullopt;

    step out;
    out.wanted = current;
    auto& w = out.wanted;
    enter(w, *to, o, limits);
    switch (*to) {
    case offered:
        ++w.offer_no;
        w.not_before.reset();
        if (!w.sent_at) w.sent_at = o.now;
        break;
    case pending:
        if (s == stimulus::deferred) w.not_before = o.now + o.retry_after.value_or(limits.deferred_default);
        break;
    case failed:
    case rejected:
        w.error_code = o.error_code;
        w.error_text = o.error_text;
        break;
    case downloaded: w.percent = 100; break;
    case succeeded:
        w.percent = 100;
        w.error_code.reset();
        w.error_text.reset();
        out.succeeded = true;
        break;
    case expired: w.error_code = "deadline"; break;
    default: break;
    }
    const timestamp id_time = time_behind(current.state_at, o.now);
    note(out, from, *to, o, o.cause, id_time);
    if (*to == failed) {
        out.attempt_failed = counts_against_device(s, from);
        if (!final_failure(s) && w.attempt < limits.attempts_max) begin_attempt(out, o, limits, id_time);
    }
    return out;
}

stimulus stimulus_of(progress_state s) noexcept {
    switch (s) {
    case progress_state::accepted: return stimulus::accepted;
    case progress_state::downloading: return stimulus::downloading;
    case progress_state::downloaded: return stimulus::downloaded;
    case progress_state::installing: return stimulus::installing;
    case progress_state::rebooting: return stimulus::rebooting;
    case progress_state::rejected: return stimulus::rejected;
    case progress_state::deferred: return stimulus::deferred;
    }
    return stimulus::accepted;
}

std::chrono::seconds retry_delay(int failed_attempt, std::chrono::seconds base, std::uint32_t random) {
    const auto wait = base * (1 << std::clamp(failed_attempt - 1, 0, 10));
    return wait + std::chrono::seconds(random % (wait.count() / 4 + 1));
}

const char* timeout_code(update_state s) noexcept {
    switch (s) {
    case offered: return "no_response";
    case accepted: return "not_started";
    case downloading: return "download_stalled";
    case downloaded: return "not_installed";
    case installing: return "install_timeout";
    case verifying: return "lost_after_update";
    default: return "timeout";
    }
}

void shift_timers(storage::update& u, std::chrono::milliseconds back) {
    u.state_at -= back;
    for (auto* t : {&u.step_deadline, &u.not_before, &u.deadline})
        if (*t) **t -= back;
}

} // namespace fb::fota
