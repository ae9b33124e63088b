#include "broker/app/write_meter.hpp"

#include <chrono>
#include <fstream>
#include <pthread.h>
#include <spdlog/spdlog.h>

#include "broker/app/state_metrics.hpp"

namespace fb::app {

namespace {

constexpr std::uint64_t minutes_per_day = 24 * 60;

} // namespace

std::optional<std::uint64_t> written_by_process() {
    std::ifstream in("/proc/self/io");
    std::string name;
    for (std::uint64_t value = 0; in >> name >> value;) {
        if (name == "write_bytes:") return value;
    }
    return std::nullopt;
}

write_meter::write_meter(std::uint64_t budget_bytes_per_day)
    : budget_(budget_bytes_per_day)
    , thread_([this] { run(); }) {
    ::pthread_setname_np(thread_.native_handle(), "fb-write-meter");
}

write_meter::~write_meter() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void write_meter::run() {
    std::unique_lock lock(mutex_);
    for (std::uint64_t minute = 0; !stopping_; ++minute) {
        look(minute);
        wake_.wait_for(lock, std::chrono::minutes(1), [this] { return stopping_; });
    }
}

void write_meter::look(std::uint64_t minute) {
    const auto total = written_by_process();
    if (!total) return;
    day_.note(minute / 60, *total);
    if (budget_ == 0 || day_.last_day() <= budget_ || minute < quiet_until_minute_) return;
    quiet_until_minute_ = minute + minutes_per_day;
    spdlog::warn("{} bytes were written to the disk within a day, the budget is {} (disk.write_budget_bytes_per_day); "
                 "/metrics tells by what",
                 day_.last_day(), budget_);
}

void write_meter::append_metrics(std::string& out) const {
    if (const auto total = written_by_process())
        append_metric(out, "fotabroker_disk_written_bytes_total", "counter", "Bytes this process wrote to the disk",
                      *total);
    const std::lock_guard lock(mutex_);
    append_metric(out, "fotabroker_disk_written_last_day_bytes", "gauge", "The same within the last 24 hours",
                  day_.last_day());
    append_metric(out, "fotabroker_disk_write_budget_bytes", "gauge", "What may be written within a day; 0: no budget",
                  budget_);
}

} // namespace fb::app
