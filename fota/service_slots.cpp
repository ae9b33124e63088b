// Slots: how a device's record comes into memory, how its work is ordered, written and timed, and how it leaves.
#include <spdlog/spdlog.h>

#include "certs/digest.hpp"
#include "fota/service_impl.hpp"

namespace fb::fota {
namespace {

constexpr std::chrono::seconds clock_tolerance{2}; // smaller steps back are adjustments, not a set clock
constexpr std::chrono::seconds retry_first{1};
constexpr int retry_doublings_max = 5;

std::uint32_t random_seed() {
    std::uint32_t seed = 0;
    for (const char c : certs::random_bytes(4)) seed = seed << 8 | static_cast<unsigned char>(c);
    return seed;
}

} // namespace

bool slot::ready() const {
    for (const auto& c : connections)
        if (c.ready) return true;
    return false;
}

bool slot::holds(const connection_ref& ref) const {
    for (const auto& c : connections)
        if (c.ref == ref) return true;
    return false;
}

service::impl::impl(settings s, broker_port& b, store_port& st, storage::blob_files blobs)
    : limits(std::move(s))
    , broker(b)
    , store(st)
    , blocks(std::move(blobs), limits.block_cache_bytes)
    , random(random_seed()) {}

void service::impl::see(timestamp t) {
    if (t + clock_tolerance < now) clock_set_back(now - t);
    now = t;
}

void service::impl::clock_set_back(std::chrono::milliseconds back) {
    spdlog::warn("fota: the clock went back by {} ms; running time-outs keep their length", back.count());
    for (auto& [id, s] : slots) {
        if (s->open) shift_timers(s->open->view.row, back);
        if (s->retry_at) *s->retry_at -= back;
        if (s->row && s->row->updates_blocked_until) *s->row->updates_blocked_until -= back;
    }
    now -= back;
    for (auto& [id, s] : slots) rearm(*s);
}

slot& service::impl::obtain(const std::string& device_id) {
    auto& place = slots[device_id];
    if (!place) {
        place = std::make_unique<slot>();
        place->device_id = device_id;
    }
    return *place;
}

slot* service::impl::peek(const std::string& device_id) {
    const auto found = slots.find(device_id);
    return found == slots.end() ? nullptr : found->second.get();
}

bool service::impl::ours(const slot& s) const {
    return !limits.shared || !s.row || s.row->gateway_id == limits.self.id;
}

bool service::impl::ensure_loaded(slot& s) {
    if (s.row && ours(s)) return true; // an unknown device is looked up each time: somebody may have registered it
    if (away) return false;            // known without asking, and asking may take seconds
    if (limits.shared) return reload(s);
    auto found = store.reader().find_device(s.device_id);
    if (!found) {
        spdlog::error("fota: device {}: cannot be read: {}", s.device_id, found.err().text);
        return false;
    }
    s.row = std::move(*found);
    if (s.row) s.row->online = false; // whatever an earlier run left: settle() writes what is
    return true;
}

/// After a write failed or lost a race: what the database says counts again, except for progress it lags behind on.
bool service::impl::reload(slot& s) {
    if (away) return false;
    auto device = store.reader().find_device(s.device_id);
    auto update = store.reader().find_open_update(s.device_id);
    if (!device || !update) {
        spdlog::error("fota: device {}: cannot be read again: {}", s.device_id,
                      (!device ? device.err() : update.err()).text);
        return false;
    }
    s.row = std::move(*device);
    if (s.open && (!*update || (*update)->row.id != s.open->view.row.id)) {
        by_update.erase(s.open->view.row.id);
        s.open.reset();
    }
    if (!*update) return true;
    auto fresh = std::move(**update);
    if (!s.open) {
        s.open.emplace();
    } else if (s.open->view.row.attempt == fresh.row.attempt) {
        fresh.row.percent = std::max(fresh.row.percent, s.open->view.row.percent);
        fresh.row.bytes_sent = std::max(fresh.row.bytes_sent, s.open->view.row.bytes_sent);
    }
    s.open->view = std::move(fresh);
    s.open->confirmed = false;
    by_update[s.open->view.row.id] = &s;
    return true;
}

/// Nothing when the device is ours, or nobody's.
std::optional<storage::hint> service::impl::hint_to_owner(const slot& s, std::string kind,
                                                          std::optional<storage::update_uuid> update) const {
    if (ours(s) || !s.row->gateway_id) return std::nullopt;
    return storage::hint{storage::new_id<storage::hint_uuid>(now),
                         now,
                         *s.row->gateway_id,
                         s.row->id,
                         std::move(kind),
                         std::move(update)};
}

/// Everything we write holds only while the device is whose it was when we decided; and if it is another gateway's,
/// that one is told.
void service::impl::say_whose(const slot& s, storage::fota_operation& op) const {
    std::visit(
        [&](auto& o) {
            if constexpr (requires { o.owner; }) {
                o.owner.emplace(storage::ownership{s.device_id});
                if (s.row) {
                    o.owner->gateway_id = s.row->gateway_id;
                    o.owner->session_epoch = s.row->session_epoch;
                }
            }
            if constexpr (requires { o.tell; })
                if (!o.tell) o.tell = hint_to_owner(s, "look");
        },
        op);
}

std::shared_ptr<const storage::firmware> service::impl::firmware_of(slot& s) {
    if (!s.open) return nullptr;
    if (s.open->firmware || away) return s.open->firmware;
    const auto found = store.reader().find_firmware(s.open->view.row.firmware_id);
    if (!found || !*found) {
        spdlog::error("fota: device {}: the firmware of update {} cannot be read: {}", s.device_id,
                      to_string(s.open->view.row.id), found ? "no such row" : found.err().text);
        return nullptr;
    }
    return s.open->firmware = std::make_shared<const storage::firmware>(**found);
}

/// As it is now: another gateway may have revoked it. Of a database that is away, what was known.
std::shared_ptr<const storage::firmware> service::impl::fresh_firmware_of(slot& s) {
    if (!limits.shared || !s.open) return firmware_of(s);
    const auto known = std::exchange(s.open->firmware, nullptr);
    if (!firmware_of(s)) s.open->firmware = known;
    return s.open->firmware;
}

bool service::impl::file_here(const storage::firmware& f) const { return blocks.has(sha256_of(f)); }

void service::impl::enqueue(slot& s, job j) {
    s.mailbox.push_back(std::move(j));
    run(s);
}

void service::impl::request_settle(slot& s) {
    if (!s.settle_queued) {
        s.settle_queued = true;
        s.mailbox.push_back([this](slot& self) {
            self.settle_queued = false;
            settle(self);
        });
    }
    run(s);
}

void service::impl::run(slot& s) {
    if (s.running) return; // an outer call goes on
    s.running = true;
    while (!s.busy && !s.mailbox.empty()) {
        s.current = std::move(s.mailbox.front());
        s.mailbox.pop_front();
        s.conflicts = 0;
        s.current(s);
    }
    s.running = false;
    rearm(s);
    drop_if_idle(s);
}

void service::impl::write(slot& s, storage::fota_operation op, after_write after) {
    s.busy = true;
    say_whose(s, op);
    auto kept = std::make_shared<const storage::fota_operation>(op);
    store.submit(std::move(op), [this, &s, kept, after = std::move(after)](storage::fota_outcome outcome) {
        const bool outermost = !s.running;
        s.running = true;
        s.busy = false;
        complete(s, *kept, outcome, after);
        if (!outermost) return;
        s.running = false;
        run(s);
    });
}

void service::impl::complete(slot& s, const storage::fota_operation& op, const storage::fota_outcome& outcome,
                             const after_write& after) {
    const bool claim = std::exchange(s.claim_in_hand, false);
    const bool lost = std::exchange(s.lost_in_hand, false);
    if (outcome && *outcome == storage::applied::duplicate) return after(s, written::duplicate);
    if (!outcome) {
        s.claim_due |= claim;
        s.connection_lost |= lost;
    }
    if (outcome) {
        s.failures = 0;
        s.retry_at.reset();
        install(s, op);
        after(s, written::done);
        return request_settle(s);
    }
    const auto& why = outcome.err();
    ++count.store_failures;
    const bool reloaded = reload(s);
    if (why.kind == storage::error_kind::conflict && reloaded && ++s.conflicts < conflicts_max) return s.current(s);
    spdlog::error("fota: device {}: not stored ({}): {}", s.device_id, storage::to_string(why.kind), why.text);
    after(s, why.kind == storage::error_kind::invalid ? written::refused : written::unavailable);
}

void service::impl::install(slot& s, const storage::fota_operation& op) {
    if (const auto* recorded = std::get_if<storage::record_report>(&op)) {
        if (recorded->device_row) s.row = recorded->device_row;
        if (!recorded->change) return;
        auto row = recorded->change->wanted;
        row.state_version = recorded->change->expected_version + 1;
        for (const auto& event : recorded->events) notify(s.device_id, row, event.to_state);
        install(s, std::move(row));
    } else if (const auto* created = std::get_if<storage::create_update>(&op)) {
        if (s.open && !created->superseded.empty()) {
            by_update.erase(s.open->view.row.id);
            s.open.reset();
        }
        notify(s.device_id, created->row, *created->row.state);
    } else if (std::holds_alternative<storage::delete_device>(op)) {
        s.row.reset();
        if (s.open) by_update.erase(s.open->view.row.id);
        s.open.reset();
    }
}

/// An update's row as committed. One that is not this slot's open one ended before and has been proven late.
void service::impl::install(slot& s, storage::update row) {
    if (!s.open || s.open->view.row.id != row.id) return;
    if (storage::is_terminal(*row.state)) {
        by_update.erase(row.id);
        s.open.reset();
        return;
    }
    auto& open = *s.open;
    const auto& before = open.view.row;
    if (row.state != update_state::verifying) open.confirmed = open.other_version = open.away = open.returned = false;
    if (row.state == update_state::pending) open.fetched = open.fetched_all = false;
    if (row.attempt == before.attempt) { // bytes went out while the write was in flight
        row.percent = std::max(row.percent, before.percent);
        row.bytes_sent = std::max(row.bytes_sent, before.bytes_sent);
        if (row.state == before.state && row.state == update_state::downloading)
            row.step_deadline = std::max(row.step_deadline, before.step_deadline);
    }
    open.view.row = std::move(row);
    open.progress_written_at = now;
}

void service::impl::notify(const std::string& device_id, const storage::update& row, update_state state) {
    if (listener) listener({row.id, device_id, state, row.percent});
}

void service::impl::retry_later(slot& s) {
    s.retry_at = now + retry_first * (1 << std::min(s.failures, retry_doublings_max));
    ++s.failures;
}

std::optional<timestamp> service::impl::next_wake(const slot& s) const {
    if (at_rest(s)) return std::nullopt;
    if (s.retry_at) return s.retry_at;
    if (!s.open || !ours(s)) return std::nullopt;
    const auto& u = s.open->view.row;
    if (u.state != update_state::pending && u.state != update_state::scheduled) return u.step_deadline;
    auto wake = u.deadline;
    const auto also = [&](const std::optional<timestamp>& t) {
        if (t && *t > now && (!wake || *t < *wake)) wake = t;
    };
    if (!s.ready()) return wake;
    also(u.not_before);
    if (s.row) also(s.row->updates_blocked_until);
    return wake;
}

void service::impl::rearm(slot& s) {
    const auto wake = s.busy ? std::nullopt : next_wake(s); // a write's end comes by here again
    if (wake == s.wake) return;
    if (s.wake) timers.erase({*s.wake, &s});
    s.wake = wake;
    if (s.wake) timers.insert({*s.wake, &s});
}

void service::impl::drop_if_idle(slot& s) {
    if (s.busy || !s.mailbox.empty() || !s.connections.empty() || (s.open && ours(s)) || s.retry_at || at_rest(s))
        return;
    if (s.open) by_update.erase(s.open->view.row.id);
    if (s.wake) timers.erase({*s.wake, &s});
    slots.erase(std::string(s.device_id)); // a copy: the key must outlive the slot it names
}

} // namespace fb::fota
