#include "http/server.hpp"

#include <pthread.h>

#include <set>
#include <stdexcept>
#include <thread>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <spdlog/spdlog.h>

#include "http/connection.hpp"
#include "http/handlers.hpp"

namespace fb::http {

namespace {

using tcp = asio::ip::tcp;
using acceptor = asio::basic_socket_acceptor<tcp, executor>;

constexpr int pool_threads = 2;
constexpr std::chrono::milliseconds sweep_interval{250};
constexpr std::chrono::seconds stop_time{1};

std::string name_of(const std::string& host, std::uint16_t port) {
    return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(port);
}

[[noreturn]] void cannot_listen(const listener_settings& where, const error_code& error) {
    std::string text = "HTTP cannot listen on " + name_of(where.host, where.port) + ": " + error.message();
    if (error == asio::error::address_in_use) text += " (is another fotabroker or web server running there?)";
    throw std::runtime_error(text);
}

} // namespace

struct server::impl {
    struct listener {
        listener_settings settings;
        acceptor socket;
        std::string url;
    };

    const settings config;
    storage::fota_store& store;
    storage::blob_files blobs;
    fota::fota_thread& fota;
    std::function<void(storage::fota_operation, std::function<void(storage::fota_outcome)>)> submit;
    std::vector<health_check> checks;
    std::vector<metrics_source> sources;

    std::shared_ptr<asio::io_context> io = std::make_shared<asio::io_context>(1);
    bridge to{io};
    std::shared_ptr<event_hub> events = std::make_shared<event_hub>();
    std::unique_ptr<blocking_pool> pool;
    std::unique_ptr<context> ctx;
    std::vector<std::unique_ptr<listener>> listeners;
    std::set<connection*> connections; // of the HTTP thread, as all below
    timer sweep_timer{io->get_executor()};
    timer stop_timer{io->get_executor()};
    bool stopping = false;
    std::thread thread;

    impl(settings s, fota::fota_thread& f, storage::fota_store& st, storage::blob_files b,
         std::function<void(storage::fota_operation, std::function<void(storage::fota_outcome)>)> sub)
        : config(std::move(s))
        , store(st)
        , blobs(std::move(b))
        , fota(f)
        , submit(std::move(sub)) {}

    void bind(const listener_settings& where);
    void listen_to_events();
    task<void> accept(listener& from);
    task<void> serve(std::shared_ptr<connection> each);
    void admit(listener& from, net::async_stream::socket_type socket);
    void sweep();
    void begin_stop();
};

void server::impl::bind(const listener_settings& where) {
    error_code error;
    tcp::resolver resolver(*io);
    const auto found = resolver.resolve(where.host, std::to_string(where.port), tcp::resolver::passive, error);
    if (error) cannot_listen(where, error);
    const tcp::endpoint at = *found.begin();
    acceptor socket(io->get_executor());
    socket.open(at.protocol(), error);
    if (!error) socket.set_option(acceptor::reuse_address(true), error);
    if (!error) socket.bind(at, error);
    if (!error) socket.listen(asio::socket_base::max_listen_connections, error);
    if (error) cannot_listen(where, error);
    const auto bound = socket.local_endpoint();
    auto url = (where.tls ? "https://" : "http://") + name_of(bound.address().to_string(), bound.port());
    listeners.push_back(std::make_unique<listener>(listener{where, std::move(socket), std::move(url)}));
}

/// FOTA tells on its thread; the hub lives on ours.
void server::impl::listen_to_events() {
    fota.post([hub = std::weak_ptr(events), loop = std::weak_ptr(io)](fota::service& service, storage::timestamp) {
        service.on_notice([hub, loop](const fota::update_notice& notice) {
            if (const auto alive = loop.lock())
                asio::post(alive->get_executor(), [hub, notice] {
                    if (const auto subscribers = hub.lock()) subscribers->publish(notice);
                });
        });
    });
}

task<void> server::impl::accept(listener& from) {
    while (!stopping) {
        net::async_stream::socket_type socket(io->get_executor());
        const auto [error] = co_await from.socket.async_accept(socket, as_values);
        if (stopping) break;
        if (!error) {
            admit(from, std::move(socket));
            continue;
        }
        // Descriptors are out, most likely: give them a moment to come back.
        timer pause(io->get_executor(), std::chrono::milliseconds(100));
        co_await pause.async_wait(as_values);
    }
}

void server::impl::admit(listener& from, net::async_stream::socket_type socket) {
    error_code error;
    const auto peer = socket.remote_endpoint(error);
    if (error || connections.size() >= config.connections_max) {
        ++ctx->count.connections_refused;
        return;
    }
    ++ctx->count.connections;
    socket.set_option(tcp::no_delay(true), error);
    auto stream = from.settings.tls ? net::async_stream(std::move(socket), *from.settings.tls)
                                    : net::async_stream(std::move(socket));
    auto each = std::make_shared<connection>(*ctx, api(), std::move(stream), peer.address().to_string());
    asio::co_spawn(io->get_executor(), serve(std::move(each)), asio::detached);
}

task<void> server::impl::serve(std::shared_ptr<connection> each) {
    if (stopping) co_return; // begin_stop did not see it
    if (connections.empty()) sweep();
    connections.insert(each.get());
    ctx->connections_open = static_cast<std::uint32_t>(connections.size());
    try {
        co_await connection::serve(each);
    } catch (const std::exception& e) {
        spdlog::error("http: a connection ended unexpectedly: {}", e.what());
    }
    connections.erase(each.get());
    ctx->connections_open = static_cast<std::uint32_t>(connections.size());
    if (!connections.empty()) co_return;
    sweep_timer.cancel();
    stop_timer.cancel();
}

/// Enforces deadlines while there are connections; an idle server does not wake up.
void server::impl::sweep() {
    sweep_timer.expires_after(sweep_interval);
    sweep_timer.async_wait([this](const error_code& error) {
        if (error || connections.empty()) return; // a cancellation comes too late for a wait that is over
        const auto now = steady::now();
        for (connection* each : connections) each->check(now);
        sweep();
    });
}

void server::impl::begin_stop() {
    stopping = true;
    error_code ignored;
    for (auto& each : listeners) each->socket.close(ignored);
    events->close();
    for (connection* each : connections) each->stop_soon();
    if (connections.empty()) return;
    stop_timer.expires_after(stop_time);
    stop_timer.async_wait([this](const error_code& error) {
        if (error) return;
        for (connection* each : connections) each->close();
        to.cancel_all();
    });
}

server::server(settings s, fota::fota_thread& fota, storage::fota_store& store, storage::blob_files blobs,
               std::function<void(storage::fota_operation, std::function<void(storage::fota_outcome)>)> submit)
    : impl_(std::make_unique<impl>(std::move(s), fota, store, std::move(blobs), std::move(submit))) {}

server::~server() {
    if (!impl_->thread.joinable()) return;
    asio::post(impl_->io->get_executor(), [i = impl_.get()] { i->begin_stop(); });
    impl_->thread.join(); // every coroutine has ended by then, so nothing waits for the pool any more
}

void server::add_health_check(health_check check) { impl_->checks.push_back(std::move(check)); }
void server::add_metrics(metrics_source source) { impl_->sources.push_back(std::move(source)); }

void server::start() {
    for (const auto& each : impl_->config.listeners) impl_->bind(each);
    impl_->pool = std::make_unique<blocking_pool>(impl_->store, pool_threads);
    impl_->ctx = std::make_unique<context>(impl_->config, impl_->fota, impl_->blobs, impl_->submit, impl_->checks,
                                           impl_->sources, impl_->to, *impl_->pool, *impl_->events);
    impl_->listen_to_events();
    for (auto& each : impl_->listeners) asio::co_spawn(impl_->io->get_executor(), impl_->accept(*each), asio::detached);
    impl_->thread = std::thread([i = impl_.get()] {
        ::pthread_setname_np(::pthread_self(), "http");
        i->io->run();
    });
}

std::vector<std::string> server::urls() const {
    std::vector<std::string> all;
    for (const auto& each : impl_->listeners) all.push_back(each->url);
    return all;
}

} // namespace fb::http
