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
#include "broker/app/tls_contexts.hpp"
#include "broker/app/version.hpp"
#include "broker/auth/file_authenticator.hpp"
#include "broker/net/listen_socket.hpp"
#include "broker/net/time_now.hpp"
#include "certs/identity.hpp"
#include "storage/open.hpp"
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

constexpr std::chrono::seconds look_again{1}, look_seldom{10};

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
    data_.require_whole();
    blobs_ = value_or_throw(storage::blob_files::open(data_.blobs()));
    make_spill();
    make_broker(); // it listens now: who comes while a large state.db is read is answered a little later, not refused
    session_store_ = open_state(data_, config_.state, storage::redo::redo_store::bring_in::later);
    load_state(std::move(damaged));
    writer_ = std::make_unique<state_writer>(*session_store_);
    writer_->on_committed([this](core::shard_id shard, std::uint64_t serial) { broker_->committed(shard, serial); });
    writer_->on_refusing([this](bool refuses) { broker_->store_state(refuses); });
    make_spool();
    joint_.connect(*broker_, spool_.get());
    make_fota();
    broker_->start();
    make_control();
}

gateway::~gateway() {
    if (queues_) queues_->stop(); // first: a copy of state.db waits for it
    control_.reset();
    late_.reset();
    if (fota_) fota_->stop_serving();
    if (broker_) broker_->stop();
    fota_.reset();
    spool_.reset(); // what it still has to say goes to the joint
    writer_.reset();
}

void gateway::make_spool() {
    if (config_.database.sqlite() || config_.database.spool_bytes_max == 0) return;
    auto opened = value_or_throw(storage::open_sqlite_spool(data_.spool_db()));
    if (opened.put_aside)
        spdlog::error("spool.db was damaged and is now {}; reports in it are not in the database",
                      opened.put_aside->string());
    spool_ = std::make_unique<report_spool>(std::move(opened.store), config_.database.spool_bytes_max);
}

void gateway::make_fota() {
    if (auto store = await_database(config_)) return make_fota(std::move(store));
    spdlog::error("the database is away: MQTT is served, reports of devices are {}; updates and HTTP begin when it is "
                  "there",
                  spool_ ? "kept" : "refused");
    late_ = std::make_unique<late_start>([this] { return make_fota_late(); });
}

void gateway::make_fota(std::unique_ptr<storage::fota_store> store) {
    joint_.hold_reports();
    try {
        fota_ = std::make_unique<fota_side>(
            fota_side::surroundings{config_, data_, *blobs_, joint_, spool_.get(),
                                    [this](auto& server, const auto& fota) { furnish(server, fota); }},
            std::move(store));
    } catch (const std::exception&) {
        joint_.let_reports_go();
        throw;
    }
    joint_.connect(fota_->fota());
}

/// How long until it is worth trying again; nullopt: it is there.
std::optional<std::chrono::milliseconds> gateway::make_fota_late() {
    std::string trouble;
    bool retryable = false;
    try {
        auto store = open_database(config_);
        if (store) {
            make_fota(std::move(*store));
            spdlog::info("the database is there: updates and HTTP begin");
            for (const std::string& url : fota_->urls()) spdlog::info("http {}/api/v1", url);
            return std::nullopt;
        }
        trouble = store.err().text;
        retryable = store.err().retryable();
    } catch (const std::exception& why) {
        trouble = why.what();
    }
    if (std::exchange(last_trouble_, trouble) != trouble) spdlog::error("still without the database: {}", trouble);
    return retryable ? look_again : look_seldom; // what a person has to mend takes longer
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
            out.tls = tls_context_of(config_, l.tls, clients);
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

void gateway::furnish(http::server& server, const storage::fota_store& store) {
    server.add_health_check({"state_store", [this] { return writer_->health(); }});
    server.add_health_check({"state_db", [this] {
                                 auto trouble = session_store_->trouble();
                                 const bool well = trouble.empty();
                                 return std::pair(well, well ? "keeps up with its log" : std::move(trouble));
                             }});
    server.add_metrics([this, &store](std::string& out) {
        broker_->append_metrics(out);
        append_metrics(out, *writer_);
        append_metrics(out, *session_store_);
        append_metric(out, "fotabroker_state_queues_unread", "gauge",
                      "Queues of sessions that are still to be read after the start", queues_->left());
        append_memory_metrics(out, spill_.get());
        append_written_bytes(out, *session_store_, store);
        meter_.append_metrics(out);
    });
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
    if (!late_) {
        for (const std::string& url : fota_->urls()) lines.push_back("  http   " + url + "/api/v1");
    }
    lines.push_back("  data   " + std::filesystem::absolute(data_.path()).string());
    if (!config_.database.sqlite())
        lines.push_back("  fota   " + config_.database.url + (late_ ? "  (away: updates and HTTP begin later)" : ""));
    lines.push_back("  token  " + std::filesystem::absolute(data_.admin_token()).string() +
                    "  (admin; keep it secret)");
    return lines;
}

} // namespace fb::app
