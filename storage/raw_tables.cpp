#include "storage/raw_tables.hpp"

namespace fb::storage {

namespace {

template <class Row>
table table_of(const char* name, std::string columns) {
    const Row any{};
    return {name, std::move(columns), column_types(fields(any))};
}

// clang-format off
constexpr consistency_rule rules[] = {
    {"SELECT count(*) FROM updates WHERE state IS NOT NULL AND state NOT IN ('scheduled', 'pending', 'offered', "
     "'accepted', 'downloading', 'downloaded', 'installing', 'verifying', 'succeeded', 'failed', 'rejected', "
     "'canceled', 'expired', 'superseded', 'skipped')",
     "updates are in a state that this program does not know"},
    {"SELECT count(*) FROM updates WHERE state IS NOT NULL AND (device_id IS NULL OR firmware_id IS NULL)",
     "updates are of no device or of no firmware"},
    {"SELECT count(*) FROM firmwares WHERE state IS NOT NULL AND state NOT IN ('draft', 'approved', 'revoked')",
     "firmwares are in a state that this program does not know"},
    {"SELECT count(*) FROM firmwares WHERE state IS NOT NULL AND (checksum IS NULL OR checksum NOT LIKE 'sha256:%')",
     "firmwares have no SHA-256"},
    {"SELECT count(*) FROM update_results WHERE event_key IS NOT NULL AND device_id IS NULL",
     "results are of no device"},
};
// clang-format on

} // namespace

const std::vector<table>& fota_tables() {
    static const std::vector<table> all{
        table_of<device>("devices", std::string(device_columns)),
        table_of<firmware>("firmwares", std::string(firmware_columns)),
        table_of<update>("updates", std::string(update_identity_columns) + ", " + std::string(update_changing_columns)),
        table_of<update_result>("update_results", std::string(result_columns)),
        table_of<update_event>("update_events", std::string(event_columns)),
        table_of<api_token>("api_tokens", std::string(token_columns)),
        table_of<idempotency_record>("idempotency_keys", std::string(idempotency_columns)),
    };
    return all;
}

std::span<const consistency_rule> consistency_rules() { return rules; }

} // namespace fb::storage
