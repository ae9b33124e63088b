// A whole broker over loopback, and clients for it that block: for tests of the network side. A client gives up waiting
// after half a minute, which fails its test.
#pragma once

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "broker/net/broker.hpp"
#include "proto/decode.hpp"
#include "proto/encode.hpp"
#include "proto/frame.hpp"
#include "tests/support/websocket_client.hpp"

namespace fb::test {

inline constexpr int patience_ms = 30'000;

inline bool eventually(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
    while (!holds()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

struct broker_options {
    core::shard_id shards = 1;
    std::shared_ptr<certs::tls_context> tls{};
    core::limits limits{};
    std::uint32_t pending_max = 1024;
    std::uint32_t handshakes_max = 256;
    std::optional<net::websocket_settings> websocket{};
    std::string unix_path{};
    bool proxy_protocol = false;
};

class running_broker {
  public:
    explicit running_broker(const broker_options& o = {}) {
        net::broker_settings s;
        net::listener_settings l;
        l.host = "127.0.0.1";
        l.tls = o.tls;
        l.allow_anonymous = !o.tls;
        l.websocket = o.websocket;
        l.unix_path = o.unix_path;
        l.proxy_protocol = o.proxy_protocol;
        s.listeners.push_back(l);
        s.engine.shard_count = o.shards;
        s.engine.limits = o.limits;
        s.pending_max = o.pending_max;
        s.handshakes_max = o.handshakes_max;
        net::broker_hooks h;
        h.persist = [this](core::shard_id shard, core::persist_batch b) { // a store that is never in the way
            {
                const std::lock_guard lock(mutex_);
                for (auto& op : b.operations) kept_.push_back(std::move(op));
            }
            broker_->committed(shard, b.serial);
        };
        h.behind = [this] { return behind.load(); };
        h.on_local = [](core::local_delivery&&) {};
        h.on_peer = [](core::peer_event&&) {};
        broker_ = std::make_unique<net::broker>(std::move(s), std::move(h));
        broker_->bind();
        url = broker_->urls().front();
        if (o.unix_path.empty()) port = static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
        broker_->start();
    }

    void stop() { broker_->stop(); }
    std::uint64_t metric(const std::string& name) const {
        std::string text;
        broker_->append_metrics(text);
        const auto at = text.find("\n" + name + " ");
        REQUIRE(at != std::string::npos);
        return std::stoull(text.substr(at + name.size() + 2));
    }
    /// Messages handed to the store's queues so far.
    std::size_t kept_messages() const {
        const std::lock_guard lock(mutex_);
        std::size_t count = 0;
        for (const auto& op : kept_) count += std::holds_alternative<core::persist::enqueue>(op) ? 1 : 0;
        return count;
    }

    std::string url;
    std::uint16_t port = 0;
    std::atomic<bool> behind{false};

  private:
    mutable std::mutex mutex_;
    std::vector<core::persist_operation> kept_;
    std::unique_ptr<net::broker> broker_;
};

class peer {
  public:
    explicit peer(std::uint16_t port) {
        fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        REQUIRE(fd_ >= 0);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    }
    explicit peer(const std::string& unix_path) {
        fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        REQUIRE(fd_ >= 0);
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        unix_path.copy(to.sun_path, sizeof to.sun_path - 1);
        REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
    }
    peer(peer&& other) noexcept
        : fd_(std::exchange(other.fd_, -1))
        , ssl_(std::move(other.ssl_))
        , in_(std::move(other.in_))
        , in_frames_(other.in_frames_)
        , wire_(std::move(other.wire_)) {}
    ~peer() { close(); }

    void close() {
        ssl_.reset();
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }
    /// Speaks TLS from here on; false when the handshake fails.
    bool secure(SSL_CTX* context, SSL_SESSION* resume = nullptr) {
        ssl_.reset(SSL_new(context));
        SSL_set_fd(ssl_.get(), fd_);
        if (resume != nullptr) SSL_set_session(ssl_.get(), resume);
        return SSL_connect(ssl_.get()) == 1;
    }
    /// Speaks WebSocket from here on; false when the upgrade is refused. answer() is what the broker said.
    bool upgrade(const std::string& request = ws_request()) {
        send(request);
        while (wire_.find("\r\n\r\n") == std::string::npos && receive_into(wire_)) {
        }
        answer_ = wire_.substr(0, wire_.find("\r\n\r\n") + 4);
        in_frames_ = answer_.starts_with("HTTP/1.1 101 ");
        wire_.erase(0, answer_.size());
        return in_frames_;
    }
    const std::string& answer() const { return answer_; }
    /// What came between binary frames: "ping:x", "pong:x", "close:<code>".
    std::string control;
    SSL* tls() { return ssl_.get(); }
    int fd() const { return fd_; }

    void send(std::string_view bytes) {
        if (in_frames_)
            send_raw(ws_frame(bytes));
        else
            send_raw(bytes);
    }
    /// Below WebSocket.
    void send_raw(std::string_view bytes) {
        if (ssl_) {
            REQUIRE(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) ==
                    static_cast<int>(bytes.size()));
            return;
        }
        while (!bytes.empty()) {
            const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            REQUIRE(n > 0);
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
    }
    void say_connect(const std::string& id, std::uint32_t expiry_s = 0, std::optional<proto::will> will = {}) {
        proto::connect p;
        p.client_id = id;
        p.clean_start = expiry_s == 0;
        if (expiry_s != 0) p.properties.session_expiry_s = expiry_s;
        p.last_will = std::move(will);
        std::string out;
        proto::encode(p, out);
        send(out);
    }
    bool connect(const std::string& id, std::uint32_t expiry_s = 0) {
        say_connect(id, expiry_s);
        return next().type == proto::packet_type::connack && reason() == 0;
    }
    void subscribe(const std::string& filter, proto::qos quality = proto::qos::at_most_once) {
        proto::subscribe p;
        p.id = 1;
        p.requests.push_back({filter, {}});
        p.requests.back().options.maximum_qos = quality;
        std::string out;
        proto::encode(p, proto::version::v5, out);
        send(out);
        REQUIRE(next().type == proto::packet_type::suback);
    }
    static std::string publish(const std::string& topic, const std::string& payload, proto::packet_id id = 0) {
        proto::publish p;
        p.topic = topic;
        p.payload = payload;
        p.quality = id == 0 ? proto::qos::at_most_once : proto::qos::at_least_once;
        p.id = id;
        std::string out;
        proto::encode(p, proto::version::v5, out);
        return out;
    }

    /// The next packet; type 0 when the broker has closed the connection.
    struct packet {
        proto::packet_type type{};
        std::uint8_t flags = 0;
        std::string body;
    };
    packet next() {
        for (;;) {
            const auto f = proto::next_frame(in_, proto::no_size_limit);
            REQUIRE(f.has_value());
            if (f->complete()) {
                last_ = {f->type, f->flags, std::string(f->body)};
                in_.erase(0, f->size);
                return last_;
            }
            if (!fill()) return last_ = {};
        }
    }
    /// The reason code of the last CONNACK or DISCONNECT.
    int reason() const {
        const std::size_t at = last_.type == proto::packet_type::connack ? 1 : 0;
        return last_.body.size() > at ? static_cast<unsigned char>(last_.body[at]) : 0;
    }
    std::string payload() const {
        proto::frame f;
        f.type = last_.type;
        f.flags = last_.flags;
        f.body = last_.body;
        const auto p = proto::decode_publish(f, proto::version::v5, false);
        REQUIRE(p.has_value());
        return std::string(p->payload);
    }
    bool closed() { return next().type == proto::packet_type{}; }

  private:
    bool fill() {
        if (!in_frames_) return receive_into(in_);
        for (;;) {
            while (const auto f = ws_take(wire_)) {
                if (f->first == ws_binary) {
                    in_ += f->payload;
                    return true;
                }
                note_control(*f);
            }
            if (!receive_into(wire_)) return false;
        }
    }
    void note_control(const ws_server_frame& f) {
        const auto byte = [&f](std::size_t i) { return static_cast<unsigned char>(f.payload.at(i)); };
        if (f.first == ws_pong) control += "pong:" + f.payload + " ";
        if (f.first == ws_close)
            control += "close:" + (f.payload.empty() ? "" : std::to_string(byte(0) << 8 | byte(1)));
    }
    bool receive_into(std::string& into) {
        char bytes[64 * 1024];
        int n = 0;
        if (ssl_) {
            n = SSL_read(ssl_.get(), bytes, sizeof bytes);
        } else {
            pollfd p{fd_, POLLIN, 0};
            REQUIRE(::poll(&p, 1, patience_ms) == 1);
            n = static_cast<int>(::recv(fd_, bytes, sizeof bytes, 0));
        }
        if (n > 0) into.append(bytes, static_cast<std::size_t>(n));
        return n > 0;
    }

    int fd_ = -1;
    certs::ssl_ptr ssl_;
    std::string in_;
    bool in_frames_ = false;
    std::string wire_; // frames that are not complete
    std::string answer_;
    packet last_;
};

/// A client id that lives on `shard`.
inline std::string id_on(core::shard_id shard, core::shard_id shards, const std::string& prefix = "c") {
    for (int i = 0;; ++i) {
        const std::string id = prefix + std::to_string(i);
        if (core::home_shard(id, shards) == shard) return id;
    }
}

} // namespace fb::test
