#include "broker/app/open_database.hpp"

#include <csignal>
#include <fstream>
#include <spdlog/spdlog.h>
#include <stdexcept>
#include <thread>
#include <utility>

#include "certs/identity.hpp"
#include "storage/aside.hpp"
#include "storage/open.hpp"
#include "storage/postgres/raw_tables.hpp"
#include "storage/sqlite/raw_tables.hpp"

namespace fb::app {
namespace {

constexpr std::chrono::milliseconds look_again{500};
constexpr std::size_t password_bytes_max = 1024;

std::string password_in(const std::filesystem::path& file) {
    if (certs::readable_by_others(file)) {
        spdlog::warn("{}: others on this machine can read this password; chmod 600 it", file.string());
    }
    std::ifstream in(file);
    std::string line;
    if (!std::getline(in, line)) throw std::runtime_error(file.string() + ": the database's password cannot be read");
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line.size() > password_bytes_max)
        throw std::runtime_error(file.string() + ": the first line must be the database's password");
    return line;
}

/// SIGTERM and SIGINT are blocked until the start is done (serve.cpp).
bool asked_to_stop() {
    sigset_t pending;
    sigemptyset(&pending);
    sigpending(&pending);
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

/// A gateway must start. Devices register themselves again, and what they had is in the other file.
void put_fota_db_aside(const config& c, const storage::error& why) {
    const auto aside = storage::put_database_aside(c.data_dir / "fota.db");
    if (!aside) throw std::runtime_error(aside.err().text);
    spdlog::error(
        "{}; it was damaged and has been put aside as {}: devices, firmwares and updates begin anew. Restore a "
        "backup, or try `sqlite3 {} .recover`",
        why.text, aside->string(), aside->string());
}

} // namespace

storage::postgres::settings postgres_settings_of(const config& c) {
    storage::postgres::settings out;
    out.url = c.database.url;
    out.schema = c.database.schema;
    out.connect_timeout = c.database.connect_timeout;
    out.statement_timeout = c.database.statement_timeout;
    if (!c.database.password_file.empty()) out.password = password_in(resolve(c, c.database.password_file));
    return out;
}

storage::result<std::unique_ptr<storage::fota_store>> open_database(const config& c) {
    if (c.database.sqlite()) return storage::open_sqlite_fota_store(c.data_dir / "fota.db");
    return storage::postgres::open_fota_store(postgres_settings_of(c));
}

std::unique_ptr<storage::raw_tables> open_raw_tables(const config& c) {
    auto opened = c.database.sqlite() ? storage::sqlite::open_raw_tables(c.data_dir / "fota.db")
                                      : storage::postgres::open_raw_tables(postgres_settings_of(c));
    if (!opened) throw std::runtime_error(opened.err().text);
    return std::move(*opened);
}

std::unique_ptr<storage::fota_store> await_database(const config& c) {
    const auto end = std::chrono::steady_clock::now() + c.database.start_wait;
    bool put_aside = false;
    for (bool told = false;; told = true) {
        auto opened = open_database(c);
        if (opened) return std::move(*opened);
        if (c.database.sqlite() && opened.err().kind == storage::error_kind::corrupt &&
            !std::exchange(put_aside, true)) {
            put_fota_db_aside(c, opened.err());
            continue;
        }
        // fota.db is a file: what is wrong with it now will be wrong in a minute.
        if (c.database.sqlite() || !opened.err().retryable()) throw std::runtime_error(opened.err().text);
        if (std::chrono::steady_clock::now() >= end) return nullptr;
        if (asked_to_stop()) throw std::runtime_error("stopped before the database could be reached");
        if (!told)
            spdlog::warn("database: {}; waiting for it, at most {} s", opened.err().text,
                         c.database.start_wait.count());
        std::this_thread::sleep_for(look_again);
    }
}

} // namespace fb::app
