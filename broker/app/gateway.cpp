#include "broker/app/gateway.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <spdlog/spdlog.h>
#include <stdexcept>
#include <thread>
#include <unistd.h>

#include "broker/app/open_database.hpp"
#include "broker/app/open_state.hpp"
#include "broker/app/state_metrics.hpp"
#include "broker/app/state_records.hpp"
#include "broker/app/version.hpp"
#include "broker/auth/file_authenticator.hpp"
#include "broker/net/listen_socket.hpp"
#include "broker/net/time_now.hpp"
#include "certs/digest.hpp"
#include "certs/identity.hpp"
#include "storage/open.hpp"
#include "storage/postgres/gateway_store.hpp"
#include "storage/spool_store.hpp"

namespace fb::app {
namespace {

template <class T>
T value_or_throw(storage::result<T> r) {
    if (!r) throw std::runtime_error(r.err().text);
    return std::move(*r);
}

core::durability to_core(durability_class c) {
    switch (c) {
    case durability_class::none: return core::durability::none;
    case durability_class::batched: return core::durability::batched;
    case durability_class::automatic:
    case durability_class::strict: return core::durability::strict;
    }
    return core::durability::strict;
}

std::shared_ptr<const core::authenticator> authenticator_of(const config& c) {
    if (c.auth.password_file.empty()) return nullptr;
    const auto file = resolve(c, c.auth.password_file);
    if (certs::readable_by_others(file)) {
        spdlog::warn("{}: others on this machine can read this password file; chmod 600 it", file.string());
    }
    std::function<bool(std::string_view)> names_device;
    if (c.auth.users_are_devices) names_device = [](std::string_view id) { return certs::valid_device_id(id); };
    auto out = std::make_shared<auth::file_authenticator>(auth::password_file(file), std::move(names_device));
    spdlog::info("{}: {} users", file.string(), out->users().size());
    return out;
}

constexpr std::size_t key_bytes = 32;

std::string machine_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] != 0 ? name.data() : "gateway";
}

/// Port 0 has to become a real one before download URLs are made.
void take_free_port(endpoint& url) {
    if (url.port == 0) ::close(net::open_listener(url.host, url.port, false));
}

} // namespace

gateway::gateway(const config& c, std::function<void()> damaged)
    : config_(c)
    , data_(config_.data_dir)
    , meter_(config_.disk.write_budget_bytes_per_day)
    , joint_(config_.fota.payload_bytes_max) {
    const std::uint64_t files = net::raise_file_limit();
    constexpr std::uint64_t own_files = 256; // databases, firmware, HTTP
    if (config_.limits.connections_max + own_files > files) {
        spdlog::info("the limit of open files is {}: at most about {} connections, not connections_max = {}", files,
                     files > own_files ? files - own_files : 0, config_.limits.connections_max);
    }
    if (config_.shards == 0) config_.shards = std::max(1u, std::thread::hardware_concurrency() / 2);
    for (http_listener& l : config_.http.listeners) take_free_port(l.url);
    open_stores();
    make_spill();
    make_broker(); // it listens now: who comes while a large state.db is read is answered a little later, not refused
    session_store_ = open_state(data_, config_.state, storage::redo::redo_store::bring_in::later);
    load_state(std::move(damaged));
    writer_ = std::make_unique<state_writer>(*session_store_);
    writer_->on_committed([this](core::shard_id shard, std::uint64_t serial) { broker_->committed(shard, serial); });
    writer_->on_refusing([this](bool refuses) { broker_->store_state(refuses); });
    make_fota();
    meet_neighbours();
    make_housekeeping();
    make_http();
    broker_->start();
    make_control();
}

fota::settings gateway::fota_settings() {
    fota::settings out = config_.fota;
    out.public_url = public_url();
    out.url_key = data_.url_key();
    out.self.id = data_.gateway_id();
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

std::string gateway::shared_key(const std::string& name, const std::string& ours) {
    const auto key = certs::from_base64(value_or_throw(gateways_->shared_secret(name, certs::base64(ours))));
    if (!key || key->size() != key_bytes)
        throw std::runtime_error("shared_secrets: the row '" + name + "' is damaged: it must be 32 bytes in base64");
    return *key;
}

void gateway::make_fota() {
    auto settings = fota_settings();
    if (settings.shared && config_.database.spool_bytes_max > 0) {
        auto opened = value_or_throw(storage::open_sqlite_spool(data_.spool_db()));
        if (opened.put_aside)
            spdlog::error("spool.db was damaged and is now {}; reports in it are not in the database",
                          opened.put_aside->string());
        spool_ = std::make_unique<report_spool>(std::move(opened.store), config_.database.spool_bytes_max);
    }
    joint_.connect(*broker_);
    fota_ = std::make_unique<fota::fota_thread>(std::move(settings), joint_, *fota_store_, *blobs_, spool_.get());
    joint_.connect(*fota_);
    if (spool_) spool_->connect(*fota_);
}

void gateway::meet_neighbours() {
    if (!gateways_) return;
    neighbours_ = std::make_unique<neighbours>(
        std::move(gateways_), neighbours::settings{data_.gateway_id(), config_.gateway.dead_after}, *fota_);
    peer_files::settings how;
    how.key = peer_key_;
    if (!config_.gateway.peer_ca.empty()) how.ca = resolve(config_, config_.gateway.peer_ca);
    how.file_bytes_max = static_cast<std::int64_t>(config_.http.server.upload_bytes_max);
    how.free_bytes_min = static_cast<std::int64_t>(config_.http.server.free_bytes_min);
    peer_files_ = std::make_unique<peer_files>(how, *blobs_, *neighbours_, *fota_);
}

void gateway::make_housekeeping() {
    housekeeping::permissions may;
    if (neighbours_) may.prune = [this] { return neighbours_->leads(); };
    may.remove_files = [this] {
        if (!data_.has_damaged_fota_db()) return true;
        spdlog::warn("{}: no firmware file is removed while a damaged fota.db lies here: its rows name them",
                     data_.path().string());
        return false;
    };
    housekeeping_ = std::make_unique<housekeeping>(
        config_.retention, *fota_store_, *blobs_,
        [this](storage::fota_operation op, auto done) { fota_->submit(std::move(op), std::move(done)); },
        std::move(may));
}

gateway::~gateway() {
    if (queues_) queues_->stop(); // first: a copy of state.db waits for it
    control_.reset();
    http_.reset();
    housekeeping_.reset();
    if (broker_) broker_->stop();
    if (peer_files_) peer_files_->stop();
    if (neighbours_) neighbours_->stop();
    if (spool_) spool_->stop();
    fota_.reset();
    writer_.reset();
}

void gateway::open_stores() {
    data_.require_whole();
    fota_store_ = await_database(config_);
    data_.ensure_admin_token(*fota_store_,
                             config_.database.sqlite() ? "admin" : "admin " + to_string(data_.gateway_id()));
    blobs_ = value_or_throw(storage::blob_files::open(data_.blobs()));
}

void gateway::make_spill() {
    const core::limits& l = config_.limits;
    if (l.memory_bytes_max == 0 || l.spill_bytes_max == 0) return;
    try {
        spill_ = std::make_unique<message_spill>(config_.data_dir, l.spill_bytes_max);
    } catch (const std::runtime_error& why) {
        spdlog::warn("{}; all messages stay in memory (spill_bytes_max)", why.what());
    }
}

/// Where a message that was stored is to lie now.
core::message_space* gateway::space_for_messages() const {
    const auto level = core::memory_level_of(core::memory_in_use(), config_.limits.memory_bytes_max);
    return level == core::memory_level::normal ? nullptr : spill_.get();
}

std::shared_ptr<certs::tls_context> gateway::tls_context(const tls_files& files,
                                                         certs::client_certificates clients) const {
    certs::tls_settings settings = tls_settings_of(config_, files, clients);
    settings.clock_floor = FB_BUILD_DAY_UNIX_S; // a gateway's clock may start in 1970
    auto context = std::make_shared<certs::tls_context>(settings);
    if (certs::readable_by_others(settings.key)) {
        spdlog::warn("{}: others on this machine can read this private key; chmod 600 it", settings.key.string());
    }
    return context;
}

void gateway::make_broker() {
    net::broker_settings settings;
    for (const mqtt_listener& l : config_.listeners) {
        net::listener_settings out;
        out.host = l.url.host;
        out.port = l.url.port;
        if (l.url.unix_socket()) out.unix_path = l.url.path;
        out.unix_mode = l.mode;
        if (l.url.websocket()) out.websocket = net::websocket_settings{l.url.path, l.websocket_origins};
        out.proxy_protocol = l.proxy_protocol;
        for (const std::string& n : l.proxy_from) out.proxy_from.push_back(*net::network_prefix::parse(n));
        out.allow_anonymous = l.allow_anonymous;
        out.identity_from_client_id = l.identity == device_identity::client_id;
        if (l.url.tls()) {
            const auto clients = client_certificates_of(l.tls, l.allow_anonymous);
            out.tls = tls_context(l.tls, clients);
        }
        settings.listeners.push_back(std::move(out));
    }
    settings.engine.shard_count = static_cast<core::shard_id>(config_.shards);
    settings.engine.limits = config_.limits;
    settings.engine.spill = spill_.get();
    settings.engine.acl = core::acl(config_.acl);
    settings.engine.otherwise = to_core(config_.durability);
    for (const topic_rule& rule : config_.topics) {
        for (const std::string& filter : rule.filters)
            settings.engine.durability_rules.push_back({filter, to_core(rule.durability)});
    }
    settings.engine.valid_device_id = [](std::string_view id) { return certs::valid_device_id(id); };
    settings.engine.accept_mqtt_31 = config_.mqtt.accept_mqtt_31;
    settings.engine.check_payload_format = config_.mqtt.check_payload_format;
    settings.engine.server_reference = config_.mqtt.server_reference;
    settings.engine.server_moved = config_.mqtt.server_moved;
    settings.engine.authentication = authenticator_of(config_);
    settings.version = program_version;
    settings.sys_interval_s = config_.mqtt.sys_interval_s;
    settings.local_filters = fota_filters();

    net::broker_hooks hooks;
    hooks.persist = [this](core::shard_id shard, core::persist_batch batch) {
        writer_->submit(shard, std::move(batch));
    };
    hooks.behind = [this] { return writer_->behind(); };
    hooks.on_local = [this](core::local_delivery&& d) { joint_.on_local(std::move(d)); };
    hooks.on_peer = [this](core::peer_event&& e) {
        if (e.what == core::peer_event::kind::connected) queues_->wanted(e.peer.session);
        joint_.on_peer(std::move(e));
    };
    broker_ = std::make_unique<net::broker>(std::move(settings), std::move(hooks));
    broker_->bind();
}

/// The first part; the queues are read when everybody is served already.
void gateway::load_state(std::function<void()> damaged) {
    const core::instant now = net::time_now();
    std::map<std::uint64_t, core::restored_session> sessions;
    std::uint64_t queued = 0;
    std::size_t retained = 0;
    storage::session_loader loader;
    loader.on_session = [&](storage::session_record s) { sessions.emplace(s.number, to_session(s)); };
    loader.on_subscription = [&](storage::subscription_record s) {
        sessions[s.session].subscriptions.push_back(to_subscription(s));
    };
    loader.on_waiting = [&](storage::waiting_record w) {
        constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
        sessions[w.session].unread = {w.last_sequence, static_cast<std::uint32_t>(std::min(w.messages, most))};
        queued += w.messages;
    };
    loader.on_received = [&](std::uint64_t session, std::uint16_t id) { sessions[session].received.push_back(id); };
    loader.on_retained = [&](std::uint64_t version, const storage::message_record& m) {
        broker_->restore_retained(to_message(m, true, now, space_for_messages()), version);
        ++retained;
    };
    const auto last = session_store_->load(loader);
    if (!last && last.err().kind == storage::error_kind::corrupt) throw state_damaged(last.err().text);
    if (!last) throw std::runtime_error(last.err().text);
    broker_->number_from(last->session + 1, last->message + 1);
    std::vector<late_session> late;
    const std::size_t count = sessions.size();
    for (auto& [number, s] : sessions) {
        const bool unread = s.unread.has_value();
        const core::session_handle handle = broker_->restore(std::move(s));
        if (unread) late.push_back({number, handle});
    }
    if (count + retained > 0) {
        spdlog::info("state.db: {} sessions, {} queued messages, {} retained messages", count, queued, retained);
    }
    queues_ = std::make_unique<queue_loader>(
        *session_store_, std::move(late),
        queue_loader::hooks{[this] { return space_for_messages(); },
                            [this](const core::session_handle& s, std::vector<core::delivery> queue) {
                                broker_->restore_queue(s, std::move(queue));
                            },
                            std::move(damaged)});
}

std::pair<bool, std::string> gateway::disk_space() const {
    const auto free = static_cast<std::uint64_t>(blobs_->bytes_free());
    const std::uint64_t reserve = config_.http.server.free_bytes_min;
    std::string text = std::to_string(free) + " bytes free";
    if (free >= reserve) return {true, std::move(text)};
    return {false, text + ", less than http.free_bytes_min = " + std::to_string(reserve) + ": uploads are refused"};
}

std::string gateway::public_url() {
    return public_url_of(config_,
                         config_.http.listeners.empty() ? std::uint16_t{0} : config_.http.listeners.front().url.port);
}

void gateway::make_http() {
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
            out.tls = tls_context(l.tls, clients);
        }
        settings.listeners.push_back(std::move(out));
    }
    http_ =
        std::make_unique<http::server>(std::move(settings), *fota_, *fota_store_, *blobs_,
                                       [this](auto op, auto done) { fota_->submit(std::move(op), std::move(done)); });
    http_->add_health_check({"state_store", [this] { return writer_->health(); }});
    http_->add_health_check({"state_db", [this] {
                                 auto trouble = session_store_->trouble();
                                 const bool well = trouble.empty();
                                 return std::pair(well, well ? "keeps up with its log" : std::move(trouble));
                             }});
    http_->add_health_check({"fota_store", [this] { return fota_->health(); }});
    http_->add_health_check({"disk_space", [this] { return disk_space(); }});
    if (neighbours_) http_->add_health_check({"gateways", [this] { return neighbours_->health(); }});
    http_->add_metrics([this](std::string& out) {
        broker_->append_metrics(out);
        append_metric(out, "fotabroker_disk_free_bytes", "gauge", "Free where firmware files lie",
                      static_cast<std::uint64_t>(blobs_->bytes_free()));
        append_metric(out, "fotabroker_disk_reserve_bytes", "gauge", "What uploads leave free (http.free_bytes_min)",
                      config_.http.server.free_bytes_min);
        housekeeping_->append_metrics(out);
        append_metrics(out, *writer_);
        append_metrics(out, *session_store_);
        append_metric(out, "fotabroker_state_queues_unread", "gauge",
                      "Queues of sessions that are still to be read after the start", queues_->left());
        append_memory_metrics(out, spill_.get());
        append_written_bytes(out, *session_store_, *fota_store_);
        meter_.append_metrics(out);
        if (neighbours_) neighbours_->append_metrics(out);
        if (spool_) spool_->append_metrics(out);
        if (peer_files_) peer_files_->append_metrics(out);
    });
    http_->start();
}

void gateway::make_control() {
    remove_old_copies(data_.path());
    try {
        control_ = std::make_unique<control_socket>(
            data_.path(), [this](const std::filesystem::path& file, const storage::redo::copy_progress& told) {
                return session_store_->copy_to(file, told);
            });
    } catch (const std::runtime_error& why) {
        spdlog::warn("{}; `fotabroker backup` needs the broker to be stopped", why.what());
    }
}

std::vector<std::string> gateway::description() const {
    std::vector<std::string> lines{std::string("fotabroker ") + program_version};
    const auto urls = broker_->urls();
    for (std::size_t i = 0; i < urls.size(); ++i) {
        const mqtt_listener& l = config_.listeners[i];
        const bool certificate = l.url.tls() && !l.tls.client_ca.empty();
        const bool password = !config_.auth.password_file.empty() && !certificate && !l.allow_anonymous;
        const char* who = password            ? "user name and password required"
                          : l.allow_anonymous ? (l.url.tls() ? "client certificate optional"
                                                             : "anonymous clients allowed, for trying things")
                                              : "client certificate required";
        lines.push_back("  mqtt   " + urls[i] + "  (" + who + ")");
    }
    if (http_) {
        for (const std::string& url : http_->urls()) lines.push_back("  http   " + url + "/api/v1");
    }
    lines.push_back("  data   " + std::filesystem::absolute(data_.path()).string());
    if (!config_.database.sqlite()) lines.push_back("  fota   " + config_.database.url);
    lines.push_back("  token  " + std::filesystem::absolute(data_.admin_token()).string() +
                    "  (admin; keep it secret)");
    return lines;
}

} // namespace fb::app
