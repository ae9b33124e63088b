// The spool behind FOTA: reports are written to spool.db by a thread of its own, many in one transaction, and told to
// FOTA when they are on the disk.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "fota/fota_thread.hpp"
#include "storage/async_store.hpp"
#include "storage/spool_store.hpp"

namespace fb::app {

class report_spool final : public fota::report_spool {
  public:
    /// `bytes_max`: as spool_store::bytes() counts; what comes beyond is refused.
    report_spool(std::unique_ptr<storage::spool_store> store, std::int64_t bytes_max);

    /// Before the first keep(), after the last keep_early().
    void connect(fota::fota_thread& fota) { fota_ = &fota; }
    /// When FOTA's thread has ended, before the object goes: what was handed over is written.
    void disconnect();

    /// Before there is FOTA, on any thread. False: there is no room. `done` runs on the spool's thread, with false when
    /// the disk refused it.
    bool keep_early(const fota::report& r, std::function<void(bool)> done) { return submit(r, std::move(done)); }

    // On the FOTA thread.
    void keep(const fota::report& r, std::function<void(bool)> done) override;
    std::vector<fota::report> oldest() override;
    bool forget() override;
    std::unordered_map<std::string, std::size_t> devices() override;

    void append_metrics(std::string& out) const; // any thread

  private:
    using writer = storage::group_commit<storage::spooled_report, storage::status>;
    bool submit(const fota::report& r, std::function<void(bool)> done);
    std::unique_ptr<writer> make_writer();
    std::vector<storage::status> apply(const std::vector<storage::spooled_report>& batch);

    const std::unique_ptr<storage::spool_store> store_;
    const std::int64_t bytes_max_;
    fota::fota_thread* fota_ = nullptr;
    std::int64_t last_given_ = 0;          // by oldest()
    std::atomic<std::int64_t> waiting_{0}; // bytes handed over and not on the disk yet
    std::unique_ptr<writer> writer_;
};

} // namespace fb::app
