#include "storage/memory/tables.hpp"

#include <algorithm>

#include "storage/audit.hpp"
#include "storage/columns.hpp"

namespace fb::storage::memory {

namespace {

template <class Map, class Condition>
auto* find_in(Map& map, Condition condition) {
    const auto found = std::find_if(map.begin(), map.end(), [&](auto& entry) { return condition(entry.second); });
    return found == map.end() ? nullptr : &found->second;
}

error conflict(std::string text) { return {error_kind::conflict, std::move(text)}; }
error invalid(std::string text) { return {error_kind::invalid, std::move(text)}; }
error not_found(std::string text) { return {error_kind::not_found, std::move(text)}; }

/// One operation on the tables. Every change leaves what undoes it; rollback() undoes them, last one first.
class transaction {
  public:
    explicit transaction(tables& t)
        : t_(t) {}

    fota_outcome run(const record_report& op);
    fota_outcome run(const create_update& op);
    fota_outcome run(const save_firmware& op);
    fota_outcome run(const set_firmware_state& op);
    fota_outcome run(const patch_device& op);
    fota_outcome run(const gateway_started& op);
    fota_outcome run(const save_token& op);
    fota_outcome run(const revoke_token& op);
    fota_outcome run(const touch_token& op);
    fota_outcome run(const save_idempotency& op);
    fota_outcome run(const prune_idempotency& op);
    fota_outcome run(const delete_device& op);
    fota_outcome run(const delete_firmware& op);
    fota_outcome run(const prune_history& op);

    void log(const audit_entry& entry) {
        const audit_row row = audit_row_after(t_.newest_audit_row(), entry);
        set(t_.audit, row.seq, row);
    }

    void rollback() {
        for (auto step = undo_.rbegin(); step != undo_.rend(); ++step) (*step)();
    }

  private:
    template <class Map>
    void set(Map& map, const typename Map::key_type& key, typename Map::mapped_type row) {
        const auto found = map.find(key);
        if (found == map.end()) {
            undo_.push_back([&map, key] { map.erase(key); });
        } else {
            undo_.push_back([&map, key, old = found->second] { map.insert_or_assign(key, old); });
        }
        map.insert_or_assign(key, std::move(row));
    }

    /// Rows of the map that the condition holds for.
    template <class Map, class Condition>
    void erase(Map& map, Condition condition) {
        for (auto at = map.begin(); at != map.end();) {
            if (!condition(at->second)) {
                ++at;
                continue;
            }
            undo_.push_back([&map, entry = *at] { map.insert(entry); });
            at = map.erase(at);
        }
    }
    void erase_results(const std::function<bool(const update_result&)>& condition);

    result<device_uuid> upsert_device(device row);
    status put_update(const update& row);
    status change_update(const update_change& change);
    status insert_result(const update_result& row);
    status insert_events(const std::vector<update_event>& events);
    bool holds(const std::optional<ownership>& owner) const;
    status tell(const std::optional<hint>& row);

    tables& t_;
    std::vector<std::function<void()>> undo_;
};

result<device_uuid> transaction::upsert_device(device row) {
    if (const auto old = t_.devices.find(row.device_id); old != t_.devices.end()) {
        const device& known = old->second;
        row.id = known.id;
        row.first_seen = known.first_seen;
        row.tags = known.tags;
        row.name_by_operator = known.name_by_operator;
        row.type_by_operator = known.type_by_operator;
        if (known.name_by_operator) row.name = known.name;
        if (known.type_by_operator) row.type = known.type;
    } else if (t_.find_device(row.id) != nullptr) {
        return conflict("devices: another device has the id");
    }
    set(t_.devices, row.device_id, row);
    return row.id;
}

status transaction::put_update(const update& row) {
    if (row.state && is_open(*row.state)) {
        const update* other = t_.find_open_update(row.device_id);
        if (other != nullptr && other->id != row.id) return conflict("updates: the device has an open update");
    }
    set(t_.updates, row.id, row);
    return done{};
}

status transaction::change_update(const update_change& change) {
    if (!change.wanted.state) return invalid("updates: a change needs a state");
    const auto found = t_.updates.find(change.wanted.id);
    if (found == t_.updates.end() || !found->second.state || found->second.state_version != change.expected_version) {
        return conflict("updates: not at that state_version");
    }
    update row = change.wanted;
    row.device_id = found->second.device_id;
    row.firmware_id = found->second.firmware_id;
    row.state_version = change.expected_version + 1;
    return put_update(row);
}

status transaction::insert_result(const update_result& row) {
    if (t_.results.contains(row.id)) return conflict("update_results: the id exists");
    if (t_.find_device(row.device_id) == nullptr) return invalid("update_results: no such device");
    if (row.update_id && !t_.updates.contains(*row.update_id)) return invalid("update_results: no such update");
    set(t_.results, row.id, row);
    set(t_.event_keys, row.event_key, row.id);
    return done{};
}

status transaction::insert_events(const std::vector<update_event>& events) {
    for (const update_event& event : events) {
        if (t_.events.contains(event.id)) return conflict("update_events: the id exists");
        if (!t_.updates.contains(event.update_id)) return invalid("update_events: no such update");
        set(t_.events, event.id, event);
    }
    return done{};
}

bool transaction::holds(const std::optional<ownership>& owner) const {
    if (!owner) return true;
    const auto found = t_.devices.find(owner->device_id);
    return found == t_.devices.end() ||
           (found->second.gateway_id == owner->gateway_id && found->second.session_epoch == owner->session_epoch);
}

status transaction::tell(const std::optional<hint>& row) {
    if (!row) return done{};
    if (!t_.gateways.contains(row->gateway_id)) return invalid("outbox: no such gateway");
    set(t_.outbox, row->id, *row);
    return done{};
}

fota_outcome outcome_of(status s) {
    if (!s) return s.err();
    return applied::done;
}

fota_outcome transaction::run(const record_report& op) {
    if (op.result && op.result->event_key.empty()) return invalid("update_results: a result needs an event_key");
    if (op.result && t_.event_keys.contains(op.result->event_key)) return applied::duplicate;
    if (!holds(op.owner)) return conflict("devices: another gateway has the device");
    std::optional<device_uuid> stored;
    if (op.device_row) {
        const auto upserted = upsert_device(*op.device_row);
        if (!upserted) return upserted.err();
        stored = *upserted;
    }
    if (op.change) {
        if (auto changed = change_update(*op.change); !changed) return changed.err();
    }
    if (op.result) {
        update_result row = *op.result;
        if (stored && row.device_id == op.device_row->id) row.device_id = *stored;
        if (auto inserted = insert_result(row); !inserted) return inserted.err();
    }
    if (auto told = tell(op.tell); !told) return told.err();
    return outcome_of(insert_events(op.events));
}

fota_outcome transaction::run(const create_update& op) {
    for (const update_change& change : op.superseded) {
        if (auto changed = change_update(change); !changed) return changed.err();
    }
    if (t_.updates.contains(op.row.id)) return conflict("updates: the id exists");
    if (t_.find_device(op.row.device_id) == nullptr) return invalid("updates: no such device");
    if (!t_.firmwares.contains(op.row.firmware_id)) return invalid("updates: no such firmware");
    if (auto put = put_update(op.row); !put) return put.err();
    if (auto told = tell(op.tell); !told) return told.err();
    return outcome_of(insert_events(op.events));
}

fota_outcome transaction::run(const save_firmware& op) {
    if (t_.firmwares.contains(op.row.id)) return conflict("firmwares: the id exists");
    if (op.row.state && t_.find_firmware(op.row.device_type, op.row.version) != nullptr) {
        return conflict("firmwares: the version exists");
    }
    set(t_.firmwares, op.row.id, op.row);
    return applied::done;
}

fota_outcome transaction::run(const set_firmware_state& op) {
    const auto found = t_.firmwares.find(op.id);
    if (found == t_.firmwares.end() || !found->second.state) return not_found("firmwares: no such firmware");
    if (found->second.state == op.state) return applied::duplicate;
    firmware row = found->second;
    row.state = op.state;
    set(t_.firmwares, row.id, row);
    return applied::done;
}

fota_outcome transaction::run(const patch_device& op) {
    const auto found = t_.devices.find(op.device_id);
    if (found == t_.devices.end()) return not_found("devices: no such device");
    device row = found->second;
    if (op.name) row.name = op.name;
    if (op.type) row.type = op.type;
    if (op.tags) row.tags = *op.tags;
    row.name_by_operator = row.name_by_operator || op.name;
    row.type_by_operator = row.type_by_operator || op.type;
    if (fields(std::as_const(row)) == fields(std::as_const(found->second))) return applied::duplicate;
    set(t_.devices, row.device_id, row);
    return outcome_of(tell(op.tell));
}

fota_outcome transaction::run(const gateway_started& op) {
    set(t_.gateways, op.row.id, op.row);
    for (auto& [id, row] : t_.devices) {
        const bool ours = row.gateway_id == op.row.id;
        if (!ours && !op.alone) continue;
        row.online = false;
        if (!ours) ++row.session_epoch;
        row.gateway_id = op.row.id;
    }
    return applied::done;
}

fota_outcome transaction::run(const save_token& op) {
    const auto same = [&](const api_token& t) {
        return t.id == op.row.id || t.hash == op.row.hash ||
               (t.name == op.row.name && !t.revoked_at && !op.row.revoked_at);
    };
    if (find_in(t_.tokens, same) != nullptr) return conflict("api_tokens: the name or token exists");
    set(t_.tokens, op.row.id, op.row);
    return applied::done;
}

fota_outcome transaction::run(const revoke_token& op) {
    const auto found = t_.tokens.find(op.id);
    if (found == t_.tokens.end()) return not_found("api_tokens: no such token");
    if (found->second.revoked_at) return applied::duplicate;
    api_token row = found->second;
    row.revoked_at = op.at;
    set(t_.tokens, row.id, row);
    return applied::done;
}

fota_outcome transaction::run(const touch_token& op) {
    const auto found = t_.tokens.find(op.id);
    if (found == t_.tokens.end()) return not_found("api_tokens: no such token");
    found->second.last_used_at = op.at;
    return applied::done;
}

fota_outcome transaction::run(const save_idempotency& op) {
    if (t_.idempotency.contains(op.row.key)) return conflict("idempotency_keys: the key exists");
    set(t_.idempotency, op.row.key, op.row);
    return applied::done;
}

fota_outcome transaction::run(const prune_idempotency& op) {
    std::erase_if(t_.idempotency, [&](const auto& entry) { return entry.second.created_at < op.older_than; });
    return applied::done;
}

void transaction::erase_results(const std::function<bool(const update_result&)>& condition) {
    erase(t_.event_keys, [&](const result_uuid& id) { return condition(t_.results.at(id)); });
    erase(t_.results, condition);
}

fota_outcome transaction::run(const delete_device& op) {
    const auto found = t_.devices.find(op.device_id);
    if (found == t_.devices.end()) return not_found("devices: no such device");
    const device_uuid id = found->second.id;
    if (!op.with_open_update && t_.find_open_update(id) != nullptr) return conflict("devices: it has an open update");
    const auto own = [&](const update_uuid& u) { return t_.updates.at(u).device_id == id; };
    erase(t_.events, [&](const update_event& e) { return own(e.update_id); });
    erase_results([&](const update_result& r) { return r.device_id == id || (r.update_id && own(*r.update_id)); });
    erase(t_.updates, [&](const update& u) { return u.device_id == id; });
    erase(t_.devices, [&](const device& d) { return d.id == id; });
    return applied::done;
}

fota_outcome transaction::run(const delete_firmware& op) {
    const auto found = t_.firmwares.find(op.id);
    if (found == t_.firmwares.end() || !found->second.state) return not_found("firmwares: no such firmware");
    firmware row = found->second;
    const auto open = [&](const update& u) { return u.firmware_id == op.id && u.state && is_open(*u.state); };
    const auto runs_it = [&](const device& d) {
        return d.type == row.device_type && d.firmware_version == row.version;
    };
    if (find_in(t_.updates, open) != nullptr || find_in(t_.devices, runs_it) != nullptr)
        return conflict("firmwares: it is needed");
    if (find_in(t_.updates, [&](const update& u) { return u.firmware_id == op.id; }) == nullptr) {
        erase(t_.firmwares, [&](const firmware& f) { return f.id == op.id; });
        return applied::done;
    }
    if (row.state == firmware_state::revoked && row.url.empty()) return applied::duplicate;
    row.state = firmware_state::revoked;
    row.url.clear();
    set(t_.firmwares, row.id, row);
    return applied::done;
}

fota_outcome transaction::run(const prune_history& op) {
    const auto among = [](const auto& ids, const auto& id) {
        return std::find(ids.begin(), ids.end(), id) != ids.end();
    };
    erase_results([&](const update_result& r) { return among(op.results, r.id); });
    erase(t_.events, [&](const update_event& e) { return among(op.events, e.id); });
    erase(t_.audit, [&](const audit_row& r) { return r.seq < op.audit_before; });
    return applied::done;
}

} // namespace

std::optional<audit_row> tables::newest_audit_row() const {
    return audit.empty() ? std::nullopt : std::optional(audit.rbegin()->second);
}

const device* tables::find_device(const device_uuid& id) const {
    return find_in(devices, [&](const device& d) { return d.id == id; });
}

const firmware* tables::find_firmware(const std::string& device_type, const std::string& version) const {
    return find_in(firmwares,
                   [&](const firmware& f) { return f.state && f.device_type == device_type && f.version == version; });
}

const update* tables::find_open_update(const device_uuid& id) const {
    return find_in(updates, [&](const update& u) { return u.device_id == id && u.state && is_open(*u.state); });
}

const api_token* tables::find_token(const std::string& hash) const {
    return find_in(tokens, [&](const api_token& t) { return t.hash == hash; });
}

bool tables::is_open_update(const update_uuid& id) const {
    const auto found = updates.find(id);
    return found != updates.end() && found->second.state && is_open(*found->second.state);
}

update_view tables::view_of(const update& row) const {
    update_view view{row, {}, {}};
    if (const device* d = find_device(row.device_id)) view.device_id = d->device_id;
    if (const auto f = firmwares.find(row.firmware_id); f != firmwares.end()) view.firmware_version = f->second.version;
    return view;
}

fota_outcome perform(tables& t, const fota_operation& operation) {
    transaction trial(t);
    auto outcome = std::visit([&](const auto& op) { return trial.run(op); }, operation);
    if (!outcome) trial.rollback();
    if (const auto* entry = audit_due(operation, outcome)) trial.log(*entry);
    return outcome;
}

} // namespace fb::storage::memory
