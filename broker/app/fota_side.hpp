// Everything that needs the database: FOTA, the other gateways, their files, housekeeping, HTTP. Made when the database
// can be reached, which may be long after the broker has begun to serve.
//
// Lifetimes: what is handed over outlives it. Stops in two steps, because the broker's last reports still want FOTA:
// stop_serving(), then the broker, then the destructor.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/app/config.hpp"
#include "broker/app/data_directory.hpp"
#include "broker/app/fota_joint.hpp"
#include "broker/app/housekeeping.hpp"
#include "broker/app/neighbours.hpp"
#include "broker/app/peer_files.hpp"
#include "broker/app/report_spool.hpp"
#include "fota/fota_thread.hpp"
#include "http/server.hpp"
#include "storage/blob_files.hpp"
#include "storage/fota_store.hpp"

namespace fb::app {

class fota_side {
  public:
    struct surroundings {
        const config& configuration;
        data_directory& data;
        const storage::blob_files& blobs;
        fota_joint& joint;
        report_spool* spool; // null: none
        /// Health checks and metrics of the rest of the gateway.
        std::function<void(http::server&, const storage::fota_store&)> furnish;
    };

    /// Serves HTTP when it returns, and devices after joint.connect(fota()). Throws std::runtime_error with words for
    /// people; then nothing of it is left.
    fota_side(surroundings around, std::unique_ptr<storage::fota_store> store);
    ~fota_side();

    void stop_serving();

    fota::fota_thread& fota() { return *fota_; }
    std::vector<std::string> urls() const;

  private:
    void start();
    void stop();
    fota::settings fota_settings();
    std::string shared_key(const std::string& name, const std::string& ours);
    void meet_neighbours();
    void make_housekeeping();
    void make_http();
    void add_observers();
    std::pair<bool, std::string> disk_space() const;
    std::string public_url() const;

    const surroundings around_;
    const config& config_;
    std::unique_ptr<storage::fota_store> store_;
    std::unique_ptr<storage::gateway_store> gateways_; // until neighbours_ has it
    std::string peer_key_;
    std::unique_ptr<peer_files> peer_files_;
    std::unique_ptr<neighbours> neighbours_;
    std::unique_ptr<fota::fota_thread> fota_;
    std::unique_ptr<housekeeping> housekeeping_;
    std::unique_ptr<http::server> http_;
};

} // namespace fb::app
