#include "storage/audit.hpp"

#include <variant>

#include "certs/digest.hpp"

namespace fb::storage {

namespace {

void append_part(std::string& out, const std::string& text) {
    out.append(std::to_string(text.size())).append(":").append(text).append(",");
}
void append_part(std::string& out, const std::optional<std::string>& text) {
    if (text)
        append_part(out, *text);
    else
        out += "-,";
}

} // namespace

const std::string& audit_beginning() {
    static const std::string zeros(64, '0');
    return zeros;
}

std::string audit_hash(const std::string& previous_hash, const audit_entry& entry) {
    std::string text;
    append_part(text, previous_hash);
    append_part(text, format_timestamp(entry.at));
    append_part(text, entry.actor);
    append_part(text, entry.action);
    append_part(text, entry.subject);
    append_part(text, entry.detail);
    return certs::sha256_hex(text);
}

audit_row audit_row_after(const std::optional<audit_row>& newest, const audit_entry& entry) {
    audit_row row{newest ? newest->seq + 1 : 1, entry, newest ? newest->hash : audit_beginning(), {}};
    row.hash = audit_hash(row.previous_hash, entry);
    return row;
}

const audit_entry* audit_due(const fota_operation& operation, const fota_outcome& outcome) {
    if (!outcome || *outcome != applied::done) return nullptr;
    return std::visit(
        [](const auto& op) -> const audit_entry* {
            if constexpr (requires { op.audit; }) return op.audit ? &*op.audit : nullptr;
            return nullptr;
        },
        operation);
}

std::optional<std::string> audit_chain::fault_in(const audit_row& row) {
    const auto before = std::exchange(last_, row);
    const auto number = std::to_string(row.seq);
    if (before && row.previous_hash != before->hash)
        return "audit_log: row " + number + " does not follow row " + std::to_string(before->seq) +
               ": rows between them were taken out, or one of the two was changed";
    if (row.hash != audit_hash(row.previous_hash, row.entry))
        return "audit_log: row " + number + " was changed: its hash is not that of what it says";
    return std::nullopt;
}

} // namespace fb::storage
