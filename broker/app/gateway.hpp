// Everything that runs, put together: stores, broker, FOTA, HTTP, and the order in which they start and stop.
#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "broker/app/config.hpp"
#include "broker/app/control_socket.hpp"
#include "broker/app/data_directory.hpp"
#include "broker/app/fota_joint.hpp"
#include "broker/app/fota_side.hpp"
#include "broker/app/late_start.hpp"
#include "broker/app/message_spill.hpp"
#include "broker/app/queue_loader.hpp"
#include "broker/app/report_spool.hpp"
#include "broker/app/state_writer.hpp"
#include "broker/app/write_meter.hpp"
#include "broker/net/broker.hpp"
#include "http/server.hpp"
#include "storage/redo/redo_store.hpp"

namespace fb::app {

/// state.db is to be put aside, and everything to begin anew.
struct state_damaged : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class gateway {
  public:
    /// Starts; throws std::runtime_error whose text names the thing at fault, or state_damaged. MQTT is served when it
    /// returns, and FOTA and HTTP are, unless their database is away: then when it is there. `damaged` is called, on
    /// any thread, when that turns out later.
    gateway(const config& c, std::function<void()> damaged);
    ~gateway(); // stops: HTTP, then the broker, then FOTA, then the writers

    /// For people: where it listens, where the data are.
    std::vector<std::string> description() const;

  private:
    void make_spool();
    void make_fota();
    void make_fota(std::unique_ptr<storage::fota_store> store);
    std::optional<std::chrono::milliseconds> make_fota_late();
    void furnish(http::server& server, const storage::fota_store& store);
    void make_broker();
    void make_spill();
    core::message_space* space_for_messages() const;
    void load_state(std::function<void()> damaged);
    void make_control();

    config config_;
    data_directory data_;
    write_meter meter_;
    std::unique_ptr<message_spill> spill_; // outlives every message
    std::unique_ptr<storage::redo::redo_store> session_store_;
    std::optional<storage::blob_files> blobs_;
    std::unique_ptr<report_spool> spool_;
    fota_joint joint_;
    std::unique_ptr<net::broker> broker_;
    std::unique_ptr<queue_loader> queues_;
    std::unique_ptr<state_writer> writer_;
    std::unique_ptr<fota_side> fota_;
    std::string last_trouble_;         // of the database while it is waited for, not to say it again
    std::unique_ptr<late_start> late_; // null: the database was there
    std::unique_ptr<control_socket> control_;
};

} // namespace fb::app
