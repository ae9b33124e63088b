// Stands between a client and the test's PostgreSQL server on a Unix socket of its own, and cuts connections where a
// test wants them cut. One thread; each connection is passed on until the cut that is asked for comes.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <atomic>
#include <cstring>
#include <list>
#include <thread>

#include "tests/support/postgres_server.hpp"

namespace fb::test {

/// Where the next connection that comes so far is cut.
enum class cut {
    never,
    before_commit,         // the server never sees COMMIT
    after_commit,          // the server says that it committed, the client never hears it
    with_commit_under_way, // the server has got COMMIT and has not answered
    after_bytes,           // when the client has sent so many
    silence,               // from COMMIT on nothing is passed on in either direction, and nothing is cut
};

class cutting_proxy {
  public:
    cutting_proxy() {
        const std::string path = (directory_ / ".s.PGSQL.5432").string();
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_un address = address_of(path);
        REQUIRE(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(listener_, 16) == 0);
        thread_ = std::thread([this] { run(); });
    }
    ~cutting_proxy() {
        stopping_ = true;
        thread_.join();
        for (const pair& p : pairs_) close_both(p);
        ::close(listener_);
    }
    cutting_proxy(const cutting_proxy&) = delete;
    cutting_proxy& operator=(const cutting_proxy&) = delete;

    std::string url() const { return postgres_server::url_at(directory_.path()); }
    /// Once; afterwards everything is passed on again.
    void cut_next(cut where, std::size_t bytes = 0) {
        bytes_ = bytes;
        where_ = where;
    }
    /// Whether the cut that was asked for has happened.
    bool has_cut() const { return where_ == cut::never; }

  private:
    struct pair {
        int client;
        int server;
        std::size_t sent = 0;
        bool committing = false; // the last that came from the client
        bool silent = false;
    };

    static sockaddr_un address_of(const std::string& path) {
        sockaddr_un out{};
        out.sun_family = AF_UNIX;
        std::memcpy(out.sun_path, path.c_str(), path.size() + 1);
        return out;
    }
    static void close_both(const pair& p) {
        ::close(p.client);
        ::close(p.server);
    }

    void run() {
        while (!stopping_) {
            std::vector<pollfd> fds{{listener_, POLLIN, 0}};
            for (const pair& p : pairs_) {
                fds.push_back({p.silent ? -1 : p.client, POLLIN, 0});
                fds.push_back({p.silent ? -1 : p.server, POLLIN, 0});
            }
            if (::poll(fds.data(), fds.size(), 20) <= 0) continue;
            std::size_t at = 1;
            for (auto p = pairs_.begin(); p != pairs_.end(); at += 2) {
                const bool goes_on = (fds[at].revents == 0 || from_client(*p)) &&
                                     (fds[at + 1].revents == 0 || p->silent || from_server(*p));
                if (!goes_on) close_both(*p);
                p = goes_on ? std::next(p) : pairs_.erase(p);
            }
            if (fds[0].revents != 0) accept();
        }
    }

    void accept() {
        pair p{::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC), ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        const sockaddr_un address = address_of((postgres_server::shared().sockets() / ".s.PGSQL.5432").string());
        if (::connect(p.server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
            pairs_.push_back(p);
        else
            close_both(p);
    }

    bool happened() {
        where_ = cut::never;
        return false;
    }

    bool from_client(pair& p) {
        const ssize_t got = ::read(p.client, buffer_.data(), buffer_.size());
        if (got <= 0) return false;
        const std::string_view bytes(buffer_.data(), std::size_t(got));
        const cut where = where_;
        p.committing = bytes.find("COMMIT") != bytes.npos;
        if (where == cut::after_bytes && p.sent + bytes.size() >= bytes_) {
            pass(p.server, bytes.substr(0, bytes_ > p.sent ? bytes_ - p.sent : 0));
            return happened();
        }
        p.sent += bytes.size();
        if (where == cut::before_commit && p.committing) return happened();
        if (where == cut::silence && p.committing) {
            p.silent = true;
            happened();
            return true;
        }
        if (!pass(p.server, bytes)) return false;
        return where == cut::with_commit_under_way && p.committing ? happened() : true;
    }

    bool from_server(pair& p) {
        const ssize_t got = ::read(p.server, buffer_.data(), buffer_.size());
        if (got <= 0) return false;
        const std::string_view bytes(buffer_.data(), std::size_t(got));
        if (where_ == cut::after_commit && p.committing && bytes.find("COMMIT") != bytes.npos) return happened();
        return pass(p.client, bytes);
    }

    static bool pass(int to, std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(std::size_t(sent));
        }
        return true;
    }

    scratch_dir directory_;
    int listener_ = -1;
    std::list<pair> pairs_;
    std::array<char, 65536> buffer_;
    std::atomic<cut> where_{cut::never};
    std::atomic<std::size_t> bytes_{0};
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

} // namespace fb::test
