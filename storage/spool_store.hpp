// Reports that were acknowledged while the database was away: on this machine's disk, in the order they came, until
// they are in the database (spool.db). One call at a time, from any thread; calls wait for the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "storage/error.hpp"
#include "storage/values.hpp"

namespace fb::storage {

struct spooled_report {
    std::int64_t id = 0; // in the order of their coming; append() gives it
    timestamp received_at{};
    std::string device_id;
    std::string topic;
    std::string payload;
    std::string address;
    std::optional<std::string> certificate_fingerprint;
};

/// What a report takes beside its payload, about.
constexpr std::int64_t spooled_row_bytes = 200;

class spool_store {
  public:
    virtual ~spool_store() = default;
    /// All of them or none; on the disk when it returns.
    virtual status append(std::span<const spooled_report> reports) = 0;
    /// The oldest, in order.
    virtual result<std::vector<spooled_report>> oldest(int limit) = 0;
    virtual status forget(std::int64_t up_to_id) = 0;
    virtual result<std::unordered_map<std::string, std::size_t>> counts_by_device() = 0;
    /// What lies there: payloads, and spooled_row_bytes for each.
    virtual std::int64_t bytes() const = 0;
};

/// Opens or creates the file. A damaged one is put aside; `put_aside` says so.
struct opened_spool {
    std::unique_ptr<spool_store> store;
    std::optional<std::filesystem::path> put_aside;
};
result<opened_spool> open_sqlite_spool(const std::filesystem::path& file);

} // namespace fb::storage
