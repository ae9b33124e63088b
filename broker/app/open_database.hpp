// FOTA's store as the configuration names it: fota.db, or a database in PostgreSQL. Start-up only.
#pragma once

#include <memory>

#include "broker/app/config.hpp"
#include "storage/fota_store.hpp"
#include "storage/postgres/open.hpp"
#include "storage/raw_tables.hpp"

namespace fb::app {

/// Throws std::runtime_error when the password file cannot be read. Only with a PostgreSQL URL.
storage::postgres::settings postgres_settings_of(const config& c);

storage::result<std::unique_ptr<storage::fota_store>> open_database(const config& c);

/// The tables as they are, without migrations. Throws std::runtime_error with words for people.
std::unique_ptr<storage::raw_tables> open_raw_tables(const config& c);

/// Waits for a database that cannot be reached yet, at most c.database.start_wait, and says so in the log; null: it is
/// still away. Throws std::runtime_error with words for people: at once when waiting would not help, or when a signal
/// to stop is pending.
std::unique_ptr<storage::fota_store> await_database(const config& c);

} // namespace fb::app
