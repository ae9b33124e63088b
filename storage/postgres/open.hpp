// How the executable opens a FOTA store in PostgreSQL, and what can be set about it.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "storage/fota_store.hpp"

namespace fb::storage::postgres {

struct settings {
    std::string url;      // postgresql://user@host:port/database?sslmode=..., without a password
    std::string password; // empty: as libpq finds it (PGPASSWORD, PGPASSFILE, ~/.pgpass)
    std::string schema = "public";
    std::chrono::milliseconds connect_timeout{5000};
    std::chrono::milliseconds statement_timeout{10'000}; // of one statement; the server's own limit
    std::chrono::milliseconds answer_grace{2000};        // beyond it, for a batch: then the server is given up
    std::chrono::milliseconds retry_first{100};          // between two tries to connect; doubles, with jitter
    std::chrono::milliseconds retry_max{15'000};
    std::chrono::milliseconds doubt_max{20'000}; // how long apply() asks what became of a COMMIT without an answer
};

/// Why `url` is not one, without repeating what might be a password; empty: it is.
std::string fault_of_url(const std::string& url);

/// Connects, runs missing migrations (each in its transaction, one opener at a time). invalid: wrong password, role or
/// database, which waiting does not cure; schema: of a newer program; unavailable: try again later.
///
/// What apply() says was committed is, whatever happens to connection or server in between: a COMMIT whose answer is
/// lost is asked about over a new connection. Connections come back by themselves.
result<std::unique_ptr<fota_store>> open_fota_store(const settings& s);

} // namespace fb::storage::postgres
