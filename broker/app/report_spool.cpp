#include "broker/app/report_spool.hpp"

#include <spdlog/spdlog.h>

#include "broker/app/state_metrics.hpp"

namespace fb::app {
namespace {

constexpr std::size_t batch_max = 512;
constexpr int replayed_at_once = 256;

std::int64_t bytes_of(const std::string& payload) {
    return static_cast<std::int64_t>(payload.size()) + storage::spooled_row_bytes;
}

} // namespace

report_spool::report_spool(std::unique_ptr<storage::spool_store> store, std::int64_t bytes_max)
    : store_(std::move(store))
    , bytes_max_(bytes_max)
    , writer_(make_writer()) {}

std::unique_ptr<report_spool::writer> report_spool::make_writer() {
    return std::make_unique<writer>("fb-spool", batch_max, [this](const auto& batch) { return apply(batch); });
}

void report_spool::disconnect() {
    writer_.reset(); // ends when all is written
    writer_ = make_writer();
    fota_ = nullptr;
}

std::vector<storage::status> report_spool::apply(const std::vector<storage::spooled_report>& batch) {
    const auto kept = store_->append(batch);
    if (!kept) spdlog::error("spool.db: {}", kept.err().text);
    for (const auto& r : batch) waiting_ -= bytes_of(r.payload);
    return std::vector<storage::status>(batch.size(), kept);
}

void report_spool::keep(const fota::report& r, std::function<void(bool)> done) {
    const auto tell = [this, done = std::move(done)](bool kept) {
        fota_->post([done, kept](fota::service&, fota::timestamp) { done(kept); });
    };
    if (!submit(r, tell)) tell(false);
}

bool report_spool::submit(const fota::report& r, std::function<void(bool)> tell) {
    const auto bytes = bytes_of(r.payload);
    if (store_->bytes() + waiting_ + bytes > bytes_max_) return false;
    waiting_ += bytes;
    storage::spooled_report row;
    row.received_at = r.received_at.value();
    row.device_id = r.from.device_id;
    row.topic = r.topic;
    row.payload = r.payload;
    row.address = r.from.address;
    row.certificate_fingerprint = r.from.certificate_fingerprint;
    writer_->submit(std::move(row), [tell = std::move(tell)](const storage::status& kept) { tell(bool(kept)); });
    return true;
}

std::vector<fota::report> report_spool::oldest() {
    auto rows = store_->oldest(replayed_at_once);
    if (!rows) {
        spdlog::error("spool.db: {}", rows.err().text);
        return {};
    }
    std::vector<fota::report> out;
    for (auto& row : *rows) {
        fota::report& r = out.emplace_back();
        r.from.device_id = std::move(row.device_id);
        r.from.address = std::move(row.address);
        r.from.certificate_fingerprint = std::move(row.certificate_fingerprint);
        r.topic = std::move(row.topic);
        r.payload = std::move(row.payload);
        r.received_at = row.received_at;
        last_given_ = row.id;
    }
    return out;
}

bool report_spool::forget() {
    const auto gone = store_->forget(last_given_);
    if (!gone)
        spdlog::error("spool.db: {}: what is in the database already will be sent there once more", gone.err().text);
    return bool(gone);
}

std::unordered_map<std::string, std::size_t> report_spool::devices() {
    auto counts = store_->counts_by_device();
    if (counts) return std::move(*counts);
    spdlog::error("spool.db: {}", counts.err().text);
    return {};
}

void report_spool::append_metrics(std::string& out) const {
    append_metric(out, "fotabroker_spool_bytes", "gauge", "Reports that wait for the database",
                  static_cast<std::uint64_t>(store_->bytes()));
}

} // namespace fb::app
