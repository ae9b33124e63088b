// The FOTA tables as maps, with an undo list in place of a transaction. The reference for what each operation means.
// No lock of its own: fota_store.cpp holds one around every use.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "storage/fota_store.hpp"

namespace fb::storage::memory {

struct tables {
    std::map<std::string, device> devices; // by device_id
    std::map<firmware_uuid, firmware> firmwares;
    std::map<update_uuid, update> updates;
    std::map<result_uuid, update_result> results;
    std::map<std::string, result_uuid> event_keys;
    std::map<event_uuid, update_event> events;
    std::map<gateway_uuid, gateway> gateways;
    std::map<hint_uuid, hint> outbox;
    std::map<token_uuid, api_token> tokens;
    std::map<std::string, idempotency_record> idempotency;
    std::map<std::int64_t, audit_row> audit; // by seq

    const device* find_device(const device_uuid& id) const;
    const firmware* find_firmware(const std::string& device_type, const std::string& version) const;
    const update* find_open_update(const device_uuid& id) const;
    const api_token* find_token(const std::string& hash) const;
    std::optional<audit_row> newest_audit_row() const;
    bool is_open_update(const update_uuid& id) const;
    update_view view_of(const update& row) const;
};

/// Applies one operation, or leaves everything as it was and says why.
fota_outcome perform(tables& t, const fota_operation& operation);

} // namespace fb::storage::memory
