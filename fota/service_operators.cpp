// What operators ask for: trigger, cancel, firmware rows, devices' names. Authority was checked by the caller.
#include <algorithm>

#include <spdlog/spdlog.h>

#include "fota/device_attributes.hpp"
#include "fota/semver.hpp"
#include "fota/service_impl.hpp"

namespace fb::fota {
namespace {

problem no_such_update() { return {404, "not_found", "there is no such update"}; }

problem problem_of(const storage::error& why) {
    switch (why.kind) {
    case storage::error_kind::conflict: return {409, "exists", why.text};
    case storage::error_kind::not_found: return {404, "not_found", why.text};
    case storage::error_kind::invalid: return {422, "invalid", why.text};
    default: return unavailable(why.text);
    }
}

} // namespace

/// One trigger on its way through its devices. Each device answers in its own place.
struct service::impl::trigger_run {
    trigger_request request;
    storage::firmware firmware;
    std::vector<std::string> device_ids;
    std::vector<std::optional<storage::update_view>> updates;
    std::vector<std::optional<refusal>> refused;
    bool created = false; // an update, and with it the entry in the audit log
    std::size_t next = 0;
    std::size_t finished = 0;
    bool starting = false;
    reply<trigger_answer> done;

    void refuse(std::size_t place, std::string reason, std::string detail) {
        refused[place] = refusal{device_ids[place], std::move(reason), std::move(detail)};
    }
    trigger_answer answer() {
        trigger_answer out;
        out.created = created;
        for (auto& u : updates)
            if (u) out.updates.push_back(std::move(*u));
        for (auto& r : refused)
            if (r) out.refused.push_back(std::move(*r));
        return out;
    }
};

std::optional<storage::firmware> service::impl::find_firmware(const std::string& id, problem& why) {
    const auto parsed = storage::parse_id<storage::firmware_uuid>(id);
    if (!parsed) {
        why = {404, "not_found", "there is no firmware " + id};
        return std::nullopt;
    }
    if (away) {
        why = unavailable("it is away");
        return std::nullopt;
    }
    auto found = store.reader().find_firmware(*parsed);
    if (!found) {
        why = unavailable(found.err().text);
        return std::nullopt;
    }
    if (!*found || !(*found)->state) {
        why = {404, "not_found", "there is no firmware " + id};
        return std::nullopt;
    }
    return **found;
}

void service::trigger(trigger_request request, timestamp now, reply<trigger_answer> done) {
    auto& self = *impl_;
    self.see(now);
    problem why;
    auto firmware = self.find_firmware(request.firmware_id, why);
    if (!firmware) return done(std::nullopt, why);
    if (firmware->state != storage::firmware_state::approved)
        return done(std::nullopt, {409, "not_approved", "the firmware is a draft or was revoked"});
    auto run = std::make_shared<impl::trigger_run>();
    run->device_ids = request.device_ids;
    if (request.device_type) {
        auto of_type = self.store.reader().devices_of_type(*request.device_type);
        if (!of_type) return done(std::nullopt, unavailable(of_type.err().text));
        run->device_ids = std::move(*of_type);
    }
    std::set<std::string_view> seen;
    std::vector<std::string> once;
    for (const auto& id : run->device_ids)
        if (seen.insert(id).second) once.push_back(id);
    run->device_ids = std::move(once);
    run->request = std::move(request);
    run->firmware = std::move(*firmware);
    run->updates.resize(run->device_ids.size());
    run->refused.resize(run->device_ids.size());
    run->done = std::move(done);
    if (run->device_ids.empty()) return run->done(run->answer(), {});
    self.trigger_next(std::move(run));
}

/// Starts the next devices; comes back here as they finish. Until one got its update they go one by one: the request
/// is put into the audit log with the first.
void service::impl::trigger_next(std::shared_ptr<trigger_run> run) {
    if (run->starting) return;
    run->starting = true;
    while (run->next < run->device_ids.size() && run->next - run->finished < (run->created ? trigger_window : 1)) {
        const auto place = run->next++;
        enqueue(obtain(run->device_ids[place]), [this, run, place](slot& s) { trigger_one(s, run, place); });
    }
    run->starting = false;
    if (run->finished == run->device_ids.size() && run->done) {
        const auto done = std::exchange(run->done, nullptr);
        done(run->answer(), {});
    }
}

void service::impl::trigger_one(slot& s, const std::shared_ptr<trigger_run>& run, std::size_t place) {
    const auto finish = [this, run] {
        ++run->finished;
        trigger_next(run);
    };
    if (!ensure_loaded(s)) {
        run->refuse(place, "unavailable", "the database cannot be read now");
        return finish();
    }
    if (s.row && s.open && s.open->view.row.firmware_id == run->firmware.id) {
        run->updates[place] = s.open->view;
        return finish();
    }
    if (auto no = objection(s, *run)) {
        run->refused[place] = std::move(no);
        return finish();
    }
    auto op = new_update(s, *run);
    const storage::update_view view{op.row, s.device_id, run->firmware.version};
    std::optional<storage::update_uuid> recall; // offered, superseded and not replaced by a new command
    if (s.open && s.open->view.row.state == update_state::offered && view.row.state == update_state::skipped)
        recall = s.open->view.row.id;
    if (recall) op.tell = hint_to_owner(s, "cancel", recall);
    if (!run->created) op.audit = audit_trigger(run->request, run->firmware, run->device_ids);
    write(s, std::move(op), [this, run, place, view, recall, finish](slot& self, written w) {
        if (w == written::done) {
            if (storage::is_open(*view.row.state)) {
                self.open.emplace();
                self.open->view = view;
                self.open->firmware = std::make_shared<const storage::firmware>(run->firmware);
                by_update[view.row.id] = &self;
            }
            run->updates[place] = view;
            run->created = true;
            if (recall && self.ready()) publish_cancel(self.device_id, *recall);
        } else {
            run->refuse(place, "unavailable", "the update could not be stored");
        }
        finish();
    });
}

std::optional<refusal> service::impl::objection(const slot& s, const trigger_run& run) {
    const auto& id = s.device_id;
    if (!s.row) return refusal{id, "unknown_device", "no device of this id has ever reported"};
    const auto& d = *s.row;
    if (d.type && *d.type != run.firmware.device_type)
        return refusal{id, "wrong_type",
                       "the device is of type " + *d.type + ", the firmware for " + run.firmware.device_type};
    if (!list_empty(run.firmware.hw_revs) && !list_holds(run.firmware.hw_revs, d.hw_rev.value_or("")))
        return refusal{id, "wrong_type", "the firmware is not for hardware revision " + d.hw_rev.value_or("(unknown)")};
    if (d.updates_blocked_until && now < *d.updates_blocked_until)
        return refusal{id, "blocked",
                       std::to_string(d.fail_streak) + " failures in a row: no updates before " +
                           storage::format_timestamp(*d.updates_blocked_until)};
    if (s.open && !next_state(*s.open->view.row.state, stimulus::supersede))
        return refusal{id, "busy",
                       "update " + to_string(s.open->view.row.id) + " to " + s.open->view.firmware_version + " is " +
                           storage::to_string(*s.open->view.row.state)};
    return version_objection(s, run);
}

std::optional<refusal> service::impl::version_objection(const slot& s, const trigger_run& run) {
    const auto& installed = s.row->firmware_version;
    const auto& wanted = run.firmware;
    if (!installed || *installed == wanted.version) return std::nullopt;
    if (wanted.min_from_version && older(*installed, *wanted.min_from_version))
        return refusal{s.device_id, "needs_intermediate",
                       "the device runs " + *installed + "; install " + *wanted.min_from_version + " or later first"};
    if (run.request.allow_downgrade) return std::nullopt;
    bool down = older(wanted.version, *installed);
    if (!down && wanted.release_counter) {
        const auto present = store.reader().find_firmware(wanted.device_type, *installed);
        down = present && *present && (*present)->release_counter &&
               *wanted.release_counter < *(*present)->release_counter;
    }
    if (!down) return std::nullopt;
    return refusal{s.device_id, "downgrade",
                   "the device runs " + *installed + ", which is newer than " + wanted.version +
                       "; ask for it with allow_downgrade"};
}

storage::create_update service::impl::new_update(const slot& s, const trigger_run& run) {
    const bool installed = s.row->firmware_version == run.firmware.version;
    storage::create_update op;
    if (s.open) {
        if (auto old = advance(s.open->view.row, stimulus::supersede, because("operator"), limits)) {
            op.superseded.push_back({old->wanted, old->wanted.state_version});
            op.events = std::move(old->events);
        }
    }
    auto& row = op.row;
    row.id = storage::new_id<storage::update_uuid>(now);
    row.device_id = s.row->id;
    row.firmware_id = run.firmware.id;
    row.state = installed ? update_state::skipped : update_state::pending;
    row.requested_by = run.request.requested_by;
    row.deadline = now + limits.deadline;
    row.created_at = now;
    row.state_at = now;
    row.from_version = s.row->firmware_version;
    row.allow_downgrade = run.request.allow_downgrade;
    op.events.push_back({storage::new_id<storage::event_uuid>(now), row.id, now, std::nullopt, *row.state, row.attempt,
                         "operator", run.request.requested_by});
    return op;
}

void service::cancel(const std::string& update_id, const std::string& by, timestamp now,
                     reply<storage::update_view> done) {
    auto& self = *impl_;
    self.see(now);
    const auto id = storage::parse_id<storage::update_uuid>(update_id);
    if (!id) return done(std::nullopt, no_such_update());
    auto* s = self.slot_of(*id);
    if (s == nullptr) return self.cancel_ended(*id, done);
    self.enqueue(*s, [&self, id = *id, by, done](slot& its) {
        if (!self.ensure_loaded(its)) return done(std::nullopt, unavailable("it cannot be read"));
        self.cancel_open(its, id, by, done);
    });
}

/// The device of an open update, another gateway's too. Null: it is not open, as far as is known.
slot* service::impl::slot_of(const storage::update_uuid& id) {
    if (const auto open = by_update.find(id); open != by_update.end()) return open->second;
    if (!limits.shared) return nullptr;
    const auto found = store.reader().find_update(id);
    if (!found || !*found || !(*found)->row.state || storage::is_terminal(*(*found)->row.state)) return nullptr;
    return &obtain((*found)->device_id);
}

void service::impl::cancel_open(slot& s, const storage::update_uuid& id, const std::string& by,
                                const reply<storage::update_view>& done) {
    if (!s.open || s.open->view.row.id != id) return cancel_ended(id, done); // it ended while this waited
    auto why = because("operator");
    why.error_text = "canceled by " + by;
    const auto st = advance(s.open->view.row, stimulus::cancel, why, limits);
    if (!st)
        return done(std::nullopt, {409, "too_late",
                                   std::string("the update is ") + storage::to_string(*s.open->view.row.state) +
                                       ": stopping now could leave the device without firmware"});
    auto view = s.open->view;
    const bool told = view.row.state >= update_state::offered;
    view.row = st->wanted;
    ++view.row.state_version;
    auto op = operation(s, *st);
    if (told) op.tell = hint_to_owner(s, "cancel", id);
    op.audit = audit(by, "update.cancel", to_string(id), "device " + s.device_id + ", " + view.firmware_version);
    write(s, std::move(op), [this, view, told, done](slot& self, written w) {
        if (w != written::done) return done(std::nullopt, unavailable("the change was not stored"));
        if (told && self.ready()) publish_cancel(self.device_id, view.row.id);
        done(view, {});
    });
}

void service::impl::cancel_ended(const storage::update_uuid& id, const reply<storage::update_view>& done) {
    auto found = store.reader().find_update(id);
    if (!found) return done(std::nullopt, unavailable(found.err().text));
    if (!*found || !(*found)->row.state) return done(std::nullopt, no_such_update());
    if ((*found)->row.state == update_state::canceled) return done(**found, {});
    done(std::nullopt,
         {409, "ended", std::string("the update has ended: ") + storage::to_string(*(*found)->row.state)});
}

void service::add_firmware(storage::firmware row, timestamp now, reply<storage::firmware> done) {
    auto& self = *impl_;
    self.see(now);
    auto entry = self.audit(row.uploaded_by.value_or(""), "firmware.upload", row);
    self.store.submit(storage::save_firmware{row, std::move(entry)}, [row, done](storage::fota_outcome outcome) {
        if (outcome) return done(row, {});
        auto why = problem_of(outcome.err());
        if (why.status == 409) why.detail = "firmware " + row.version + " for " + row.device_type + " exists";
        done(std::nullopt, why);
    });
}

void service::revoke_firmware(const std::string& firmware_id, const std::string& by, timestamp now,
                              reply<storage::firmware> done) {
    auto& self = *impl_;
    self.see(now);
    problem why;
    auto row = self.find_firmware(firmware_id, why);
    if (!row) return done(std::nullopt, why);
    row->state = storage::firmware_state::revoked;
    self.store.submit(storage::set_firmware_state{row->id, *row->state, self.audit(by, "firmware.revoke", *row)},
                      [&self, row = *row, done](storage::fota_outcome outcome) {
                          if (!outcome) return done(std::nullopt, problem_of(outcome.err()));
                          for (const auto& [id, s] : self.slots)
                              if (s->open && s->open->view.row.firmware_id == row.id) s->open->firmware.reset();
                          spdlog::warn("fota: firmware {} {} is revoked", row.device_type, row.version);
                          done(row, {});
                      });
}

void service::patch_device(storage::patch_device change, const std::string& by, timestamp now,
                           reply<storage::device> done) {
    auto& self = *impl_;
    self.see(now);
    const auto id = change.device_id;
    change.audit = self.audit(by, change);
    self.enqueue(self.obtain(id), [&self, change = std::move(change), done](slot& s) {
        if (!self.ensure_loaded(s)) return done(std::nullopt, unavailable("it cannot be read"));
        if (!s.row) return done(std::nullopt, {404, "not_found", "there is no device " + s.device_id});
        self.write(s, change, [&self, done](slot& patched, written w) {
            if (w == written::refused) return done(std::nullopt, {422, "invalid", "the database refuses these values"});
            if (w == written::unavailable || !self.reload(patched) || !patched.row)
                return done(std::nullopt, unavailable("the change was not stored"));
            done(*patched.row, {});
        });
    });
}

} // namespace fb::fota
