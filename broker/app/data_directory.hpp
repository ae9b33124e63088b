// The data directory: state.db and redo/ before it, fota.db, admin.token, blobs/, keys/ and the lock that makes it one
// process's own.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>

#include "storage/fota_store.hpp"

namespace fb::app {

/// Another process has the lock.
class directory_in_use : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

class data_directory {
  public:
    /// Creates it (0700) and locks it; throws directory_in_use that names the directory and who holds it, or another
    /// std::runtime_error.
    explicit data_directory(std::filesystem::path path);
    ~data_directory();
    data_directory(const data_directory&) = delete;
    data_directory& operator=(const data_directory&) = delete;

    const std::filesystem::path& path() const noexcept { return path_; }
    std::filesystem::path state_db() const { return path_ / "state.db"; }
    std::filesystem::path redo_log() const { return path_ / "redo"; }
    std::filesystem::path blobs() const { return path_ / "blobs"; }
    std::filesystem::path admin_token() const { return path_ / "admin.token"; }
    std::filesystem::path spool_db() const { return path_ / "spool.db"; }

    /// Throws std::runtime_error when a restore into it did not come to its end.
    void require_whole() const;
    /// A fota.db that was put aside lies here.
    bool has_damaged_fota_db() const;
    /// Who this gateway is among others on the same database, made at the first start (gateway.id).
    storage::gateway_uuid gateway_id() const;
    /// The HMAC key of download URLs, made at the first start (keys/url.key, 0600).
    std::string url_key() const;
    /// admin.token exists and works: made at the first start, put right when file or row is missing. `name` is the
    /// token's: each of several gateways on one database has its own.
    void ensure_admin_token(storage::fota_store& store, const std::string& name) const;

  private:
    std::filesystem::path path_;
    int lock_ = -1;
};

} // namespace fb::app
