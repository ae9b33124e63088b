// How the executable opens stores in a data directory. Implemented by storage_sqlite and storage_memory.
#pragma once

#include <filesystem>
#include <memory>

#include "storage/error.hpp"
#include "storage/fota_store.hpp"
#include "storage/session_store.hpp"

namespace fb::storage {

/// Opens or creates the database file, runs missing migrations (each in its transaction: a failed one leaves the old
/// schema), refuses one from a newer program (error_kind::schema, names file, its version and ours).
result<std::unique_ptr<fota_store>> open_sqlite_fota_store(const std::filesystem::path& file);

/// What is read before the store is given away: large queues take seconds, and may be verified later.
enum class checked { all, all_but_queues };

/// state.db. A corrupt file is put aside as <file>.corrupt-<time> and a fresh one is begun; `put_aside` says so.
struct opened_session_store {
    std::unique_ptr<checkpointed_store> store;
    std::optional<std::filesystem::path> put_aside;
};
result<opened_session_store> open_sqlite_session_store(const std::filesystem::path& file, checked first = checked::all);

std::unique_ptr<fota_store> make_memory_fota_store();
std::unique_ptr<session_store> make_memory_session_store();

} // namespace fb::storage
