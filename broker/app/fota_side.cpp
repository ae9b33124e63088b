#include "broker/app/fota_side.hpp"

#include <spdlog/spdlog.h>
#include <stdexcept>

#include "broker/app/open_database.hpp"
#include "broker/app/state_metrics.hpp"
#include "broker/app/tls_contexts.hpp"
#include "broker/app/version.hpp"
#include "certs/digest.hpp"
#include "certs/identity.hpp"
#include "storage/postgres/gateway_store.hpp"

namespace fb::app {
namespace {

constexpr std::size_t key_bytes = 32;

} // namespace

fota_side::fota_side(surroundings around, std::unique_ptr<storage::fota_store> store)
    : around_(std::move(around))
    , config_(around_.configuration)
    , store_(std::move(store)) {
    try {
        start();
    } catch (...) {
        stop();
        throw;
    }
}

void fota_side::start() {
    around_.data.ensure_admin_token(
        *store_, config_.database.sqlite() ? "admin" : "admin " + to_string(around_.data.gateway_id()));
    fota_ = std::make_unique<fota::fota_thread>(fota_settings(), around_.joint, *store_, around_.blobs, around_.spool);
    if (around_.spool != nullptr) around_.spool->connect(*fota_);
    meet_neighbours();
    make_housekeeping();
    make_http();
}

fota_side::~fota_side() { stop(); }

/// Each after those who call it; peer_files_ and neighbours_ are still called by what FOTA has to finish.
void fota_side::stop() {
    stop_serving();
    if (peer_files_) peer_files_->stop();
    if (neighbours_) neighbours_->stop();
    if (fota_) fota_->stop();
    if (around_.spool != nullptr) around_.spool->disconnect();
    fota_.reset();
}

void fota_side::stop_serving() {
    http_.reset();
    housekeeping_.reset();
}

std::vector<std::string> fota_side::urls() const { return http_ ? http_->urls() : std::vector<std::string>{}; }

fota::settings fota_side::fota_settings() {
    fota::settings out = config_.fota;
    out.public_url = public_url();
    out.url_key = around_.data.url_key();
    out.self.id = around_.data.gateway_id();
    out.self.name = config_.gateway.name.empty() ? machine_name() : config_.gateway.name;
    out.self.version = program_version;
    if (config_.database.sqlite()) return out;
    out.shared = true;
    out.self.peer_url = config_.gateway.peer_url.empty() ? out.public_url : config_.gateway.peer_url;
    gateways_ = storage::postgres::make_gateway_store(postgres_settings_of(config_));
    // Who made a URL is not who serves it: the keys are the database's. Ours is what the first gateway brings along.
    out.url_key = shared_key("url", out.url_key);
    peer_key_ = shared_key("peer", certs::random_bytes(key_bytes));
    return out;
}

std::string fota_side::shared_key(const std::string& name, const std::string& ours) {
    const auto row = gateways_->shared_secret(name, certs::base64(ours));
    if (!row) throw std::runtime_error(row.err().text);
    const auto key = certs::from_base64(*row);
    if (!key || key->size() != key_bytes)
        throw std::runtime_error("shared_secrets: the row '" + name + "' is damaged: it must be 32 bytes in base64");
    return *key;
}

void fota_side::meet_neighbours() {
    if (!gateways_) return;
    neighbours_ = std::make_unique<neighbours>(
        std::move(gateways_), neighbours::settings{around_.data.gateway_id(), config_.gateway.dead_after}, *fota_);
    peer_files::settings how;
    how.key = peer_key_;
    if (!config_.gateway.peer_ca.empty()) how.ca = resolve(config_, config_.gateway.peer_ca);
    how.file_bytes_max = static_cast<std::int64_t>(config_.http.server.upload_bytes_max);
    how.free_bytes_min = static_cast<std::int64_t>(config_.http.server.free_bytes_min);
    peer_files_ = std::make_unique<peer_files>(how, around_.blobs, *neighbours_, *fota_);
}

void fota_side::make_housekeeping() {
    housekeeping::permissions may;
    if (neighbours_) may.prune = [this] { return neighbours_->leads(); };
    may.remove_files = [this] {
        if (!around_.data.has_damaged_fota_db()) return true;
        spdlog::warn("{}: no firmware file is removed while a damaged fota.db lies here: its rows name them",
                     around_.data.path().string());
        return false;
    };
    housekeeping_ = std::make_unique<housekeeping>(
        config_.retention, *store_, around_.blobs,
        [this](storage::fota_operation op, auto done) { fota_->submit(std::move(op), std::move(done)); },
        std::move(may));
}

std::pair<bool, std::string> fota_side::disk_space() const {
    const auto free = static_cast<std::uint64_t>(around_.blobs.bytes_free());
    const std::uint64_t reserve = config_.http.server.free_bytes_min;
    std::string text = std::to_string(free) + " bytes free";
    if (free >= reserve) return {true, std::move(text)};
    return {false, text + ", less than http.free_bytes_min = " + std::to_string(reserve) + ": uploads are refused"};
}

std::string fota_side::public_url() const {
    return public_url_of(config_,
                         config_.http.listeners.empty() ? std::uint16_t{0} : config_.http.listeners.front().url.port);
}

void fota_side::make_http() {
    if (config_.http.listeners.empty()) return;
    http::settings settings = config_.http.server;
    settings.version = program_version;
    settings.public_url = public_url();
    settings.peer_key = peer_key_;
    for (const http_listener& l : config_.http.listeners) {
        http::listener_settings out;
        out.host = l.url.host;
        out.port = l.url.port;
        if (l.url.tls()) {
            // Devices may show their certificate for downloads; people with tokens have none.
            const auto clients =
                l.tls.client_ca.empty() ? certs::client_certificates::none : certs::client_certificates::optional;
            out.tls = tls_context_of(config_, l.tls, clients);
        }
        settings.listeners.push_back(std::move(out));
    }
    http_ =
        std::make_unique<http::server>(std::move(settings), *fota_, *store_, around_.blobs,
                                       [this](auto op, auto done) { fota_->submit(std::move(op), std::move(done)); });
    around_.furnish(*http_, *store_);
    add_observers();
    http_->start();
}

void fota_side::add_observers() {
    http_->add_health_check({"fota_store", [this] { return fota_->health(); }});
    http_->add_health_check({"disk_space", [this] { return disk_space(); }});
    if (neighbours_) http_->add_health_check({"gateways", [this] { return neighbours_->health(); }});
    http_->add_metrics([this](std::string& out) {
        append_metric(out, "fotabroker_disk_free_bytes", "gauge", "Free where firmware files lie",
                      static_cast<std::uint64_t>(around_.blobs.bytes_free()));
        append_metric(out, "fotabroker_disk_reserve_bytes", "gauge", "What uploads leave free (http.free_bytes_min)",
                      config_.http.server.free_bytes_min);
        housekeeping_->append_metrics(out);
        if (neighbours_) neighbours_->append_metrics(out);
        if (around_.spool != nullptr) around_.spool->append_metrics(out);
        if (peer_files_) peer_files_->append_metrics(out);
    });
}

} // namespace fb::app
