// fotabroker-storage: how many reports of devices a FOTA store commits per second, at a number of devices and a size of
// batches. One line of JSON on standard output; bench/storage/run.py makes a table of many.
#include <time.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "storage/open.hpp"
#include "storage/postgres/open.hpp"

namespace {

using namespace fb::storage;
using clock_type = std::chrono::steady_clock;

constexpr std::size_t setup_batch = 500;
constexpr timestamp now{std::chrono::hours(24 * 365 * 56)};

struct options {
    std::string place; // a file, or a PostgreSQL URL
    std::size_t devices;
    std::size_t batch;
    double seconds;
};

std::unique_ptr<fota_store> opened(const options& o) {
    fb::storage::postgres::settings s;
    s.url = o.place;
    auto store = o.place.starts_with("postgresql://") ? fb::storage::postgres::open_fota_store(s)
                                                      : open_sqlite_fota_store(o.place);
    if (!store) throw std::runtime_error(store.err().text);
    return std::move(*store);
}

void apply(fota_store& store, std::vector<fota_operation>& operations) {
    for (const auto& outcome : store.apply(operations)) {
        if (!outcome) throw std::runtime_error(outcome.err().text);
        if (*outcome != applied::done) throw std::runtime_error("a report was taken for a duplicate");
    }
    operations.clear();
}

/// Devices that each have an open update, and what they report.
class fleet {
  public:
    fleet(fota_store& store, std::size_t count) {
        firmware f;
        f.id = new_id<firmware_uuid>(now);
        f.device_type = "sensor";
        f.version = "2.0.0";
        f.state = firmware_state::approved;
        std::vector<fota_operation> all{save_firmware{f}};
        for (std::size_t i = 0; i < count; ++i) {
            device& d = devices_.emplace_back();
            d.id = new_id<device_uuid>(now);
            d.device_id = "device-" + std::to_string(i);
            d.type = "sensor";
            d.attributes = R"({"battery":80,"caps":{"chunk":4096,"http":true,"resume":true}})";
            update& u = updates_.emplace_back();
            u.id = new_id<update_uuid>(now);
            u.device_id = d.id;
            u.firmware_id = f.id;
            u.state = update_state::downloading;
            all.push_back(record_report{d, {}, {}, {}});
            if (all.size() >= setup_batch) apply(store, all);
        }
        for (const update& u : updates_) {
            all.push_back(create_update{u, {}, {}});
            if (all.size() >= setup_batch) apply(store, all);
        }
        apply(store, all);
    }

    /// What a device's result changes: its row, the update's, a result and an event.
    fota_operation report() {
        const std::size_t i = random_() % devices_.size();
        update& u = updates_[i];
        update wanted = u;
        wanted.bytes_sent += 4096;
        update_result r;
        r.id = new_id<result_uuid>(now);
        r.device_id = devices_[i].id;
        r.update_id = u.id;
        r.received_at = now;
        r.event_key = to_string(r.id);
        update_event e{new_id<event_uuid>(now), u.id, now, u.state, *u.state, 1, "report", {}};
        return record_report{
            devices_[i], update_change{wanted, u.state_version++}, r, {e}, ownership{devices_[i].device_id}};
    }

  private:
    std::vector<device> devices_;
    std::vector<update> updates_;
    std::minstd_rand random_{1};
};

double cpu_seconds() {
    timespec t{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

void measure(const options& o) {
    const auto store = opened(o);
    fleet all(*store, o.devices);
    std::cerr << "ready\n"; // whoever counts what the server writes begins now
    std::string go;
    std::getline(std::cin, go);
    const auto begin = clock_type::now();
    const double cpu = cpu_seconds();
    const auto written = store->written_bytes();
    std::size_t reports = 0, commits = 0;
    std::vector<fota_operation> batch;
    while (clock_type::now() - begin < std::chrono::duration<double>(o.seconds)) {
        while (batch.size() < o.batch) batch.push_back(all.report());
        reports += batch.size();
        ++commits;
        apply(*store, batch);
    }
    const double took = std::chrono::duration<double>(clock_type::now() - begin).count();
    std::cout << "{\"reports\":" << reports << ",\"commits\":" << commits << ",\"seconds\":" << took
              << ",\"cpu_seconds\":" << cpu_seconds() - cpu << ",\"written_bytes\":" << store->written_bytes() - written
              << "}\n";
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 5) {
        std::cerr << "usage: fotabroker-storage FILE|URL DEVICES BATCH SECONDS; begins when a line comes in\n";
        return 2;
    }
    try {
        measure({argv[1], std::stoul(argv[2]), std::stoul(argv[3]), std::stod(argv[4])});
    } catch (const std::exception& e) {
        std::cerr << "fotabroker-storage: " << e.what() << '\n';
        return 1;
    }
    return 0;
}
