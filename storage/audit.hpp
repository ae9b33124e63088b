// The audit log: who did what, as a chain. Each row has the hash of the one before it, so that no row can be changed,
// added or taken out in between without everything behind it failing to fit. Pure; any thread.
//
// A hash is the lower-case hex SHA-256 of previous_hash, at, actor, action, subject and detail, each written as its
// length in bytes, ":", the text and ","; NULL is "-,". `at` is as format_timestamp writes it. postgres/audit_log.cpp
// has the same in SQL.
#pragma once

#include <optional>
#include <string>

#include "storage/fota_store.hpp"

namespace fb::storage {

/// previous_hash of the first row there ever was: 64 zeros.
const std::string& audit_beginning();

std::string audit_hash(const std::string& previous_hash, const audit_entry& entry);

/// The row that follows `newest`.
audit_row audit_row_after(const std::optional<audit_row>& newest, const audit_entry& entry);

/// What is to be logged with an operation that ended so. Null: nothing; it was not asked for, or nothing changed.
const audit_entry* audit_due(const fota_operation& operation, const fota_outcome& outcome);

/// Goes along the chain. The first row's previous_hash is taken as it is: those before it may have been pruned.
class audit_chain {
  public:
    /// The next row, in the order of seq. In words, what is wrong with it.
    std::optional<std::string> fault_in(const audit_row& row);

  private:
    std::optional<audit_row> last_;
};

} // namespace fb::storage
