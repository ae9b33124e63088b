// What each fota_operation is in SQL. Statements are written so that they do not fail: what does not fit is an outcome
// they return, not an error that would end the transaction of all. What still is an error (a foreign key, two writers
// at the same moment) costs the batch a second, careful run (fota_store.cpp).
//
// Reports, the many, go together: those of different devices in one statement, see report_batch.hpp.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "storage/fota_store.hpp"
#include "storage/postgres/connection.hpp"

namespace fb::storage::postgres {

/// A command and the operations it carries out; it answers with rows of (place in `operations`, a word).
struct work {
    command sql;
    std::vector<std::size_t> operations; // places in the batch
};

/// What is wrong with an operation before it is sent: text that PostgreSQL does not keep, a value that must be there.
std::optional<error> fault_of(const fota_operation& operation);

/// The batch as commands to be run one after another. Operations that have an outcome already are left out.
std::vector<work> plan(std::span<const fota_operation> operations,
                       const std::vector<std::optional<fota_outcome>>& known);

/// Writes the outcomes of what `w` carried out.
void read_outcomes(const work& w, const rows& answer, std::span<const fota_operation> operations,
                   std::vector<std::optional<fota_outcome>>& outcomes);

/// As the partial index updates_one_open has it.
inline constexpr const char* open_states =
    "('scheduled', 'pending', 'offered', 'accepted', 'downloading', 'downloaded', 'installing', 'verifying')";

} // namespace fb::storage::postgres
