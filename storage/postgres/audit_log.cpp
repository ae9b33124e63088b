#include "storage/postgres/audit_log.hpp"

#include "storage/audit.hpp"
#include "storage/postgres/values.hpp"

namespace fb::storage::postgres {

namespace {

// The first key is this program's own, next to that of the migrations (migrate.cpp).
constexpr const char* take_the_end =
    "SELECT pg_advisory_xact_lock(1178747235, hashtext(current_setting('search_path')))";

/// One part of the hashed text.
std::string part_sql(const std::string& text) {
    return "coalesce(octet_length(" + text + ") || ':' || " + text + ", '-') || ','";
}

std::string append_sql() {
    const std::string from_end = " FROM (SELECT seq, hash FROM audit_log ORDER BY seq DESC LIMIT 1) newest";
    const std::string columns(audit_columns);
    std::string hashed = part_sql("p.hash");
    for (const char* value : {"$1::text", "$2::text", "$3::text", "$4::text", "$5::text"})
        hashed += " || " + part_sql(value);
    return "INSERT INTO audit_log (" + columns +
           ") SELECT p.seq + 1, $1::text::timestamptz, $2::text, $3::text, $4::text, $5::text, p.hash, "
           "encode(sha256(convert_to(" +
           hashed + ", 'UTF8')), 'hex') FROM (SELECT seq, hash" + from_end + " UNION ALL SELECT 0, $6::text " +
           "ORDER BY seq DESC LIMIT 1) p";
}

} // namespace

std::vector<command> audit_commands(std::span<const fota_operation> operations,
                                    const std::vector<std::optional<fota_outcome>>& outcomes) {
    static const std::string sql = append_sql();
    std::vector<command> out;
    for (std::size_t i = 0; i < operations.size(); ++i) {
        const auto* entry = outcomes[i] ? audit_due(operations[i], *outcomes[i]) : nullptr;
        if (entry == nullptr) continue;
        if (out.empty()) out.push_back({take_the_end, {}});
        out.push_back({sql,
                       {to_parameter(entry->at), entry->actor, entry->action, to_parameter(entry->subject),
                        to_parameter(entry->detail), audit_beginning()}});
    }
    return out;
}

} // namespace fb::storage::postgres
