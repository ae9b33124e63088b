#include "broker/app/control_socket.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <spdlog/spdlog.h>
#include <stdexcept>
#include <string_view>

namespace fb::app {
namespace {

constexpr std::string_view copy_mark = ".copy-";
constexpr std::string_view request = "state.db\n";
constexpr int request_wait_ms = 5000;

bool say(int client, const std::string& line, int flags = 0) {
    return ::send(client, line.data(), line.size(), MSG_NOSIGNAL | flags) >= 0;
}

/// False: nobody is there any more. Who does not read misses a line: the store's thread does not wait.
bool say_in_passing(int client, const std::string& line) { return say(client, line, MSG_DONTWAIT) || errno == EAGAIN; }

/// An answer waits for who reads slowly, but not for ever.
void limit_answers(int client) {
    const timeval limit{5, 0};
    ::setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

bool asks_for_state(int client) {
    std::array<char, request.size()> text{};
    std::size_t got = 0;
    while (got < text.size()) {
        pollfd readable{client, POLLIN, 0};
        if (::poll(&readable, 1, request_wait_ms) <= 0) return false;
        const ssize_t count = ::recv(client, text.data() + got, text.size() - got, MSG_DONTWAIT);
        if (count <= 0) return false;
        got += static_cast<std::size_t>(count);
    }
    return std::string_view(text.data(), text.size()) == request;
}

} // namespace

std::string copy_name(const std::string& database) {
    const auto time = std::chrono::system_clock::now().time_since_epoch().count();
    return database + std::string(copy_mark) + std::to_string(::getpid()) + "-" + std::to_string(time);
}

void remove_old_copies(const std::filesystem::path& data_dir) {
    std::error_code ec;
    for (std::filesystem::directory_iterator each(data_dir, ec), end; !ec && each != end; each.increment(ec)) {
        const std::string name = each->path().filename().string();
        if (name.find(".db" + std::string(copy_mark)) != std::string::npos) ::unlink(each->path().c_str());
    }
}

control_socket::control_socket(const std::filesystem::path& data_dir, copy_function copy_state)
    : data_dir_(data_dir)
    , copy_state_(std::move(copy_state)) {
    directory_ = ::open(data_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    stop_ = ::eventfd(0, EFD_CLOEXEC);
    try {
        if (directory_ < 0 || stop_ < 0) throw std::runtime_error(data_dir.string() + ": " + std::strerror(errno));
        listener_.emplace(
            net::open_unix_listener("/proc/self/fd/" + std::to_string(directory_) + "/" + control_socket_name, 0600));
    } catch (...) {
        if (directory_ >= 0) ::close(directory_);
        if (stop_ >= 0) ::close(stop_);
        throw;
    }
    thread_ = std::thread([this] { run(); });
    ::pthread_setname_np(thread_.native_handle(), "fb-control");
}

control_socket::~control_socket() {
    stopping_ = true;
    ::eventfd_write(stop_, 1);
    thread_.join();
    ::close(listener_->fd);
    listener_.reset(); // its file, too
    ::close(stop_);
    ::close(directory_);
}

/// Until there is something to read, or its end. False: stop.
bool control_socket::wait_for(int fd) const {
    while (!stopping_) {
        std::array<pollfd, 2> events{pollfd{fd, POLLIN, 0}, pollfd{stop_, POLLIN, 0}};
        if (::poll(events.data(), events.size(), -1) > 0 && events[1].revents == 0) return true;
    }
    return false;
}

void control_socket::run() {
    while (wait_for(listener_->fd)) {
        const int client = ::accept4(listener_->fd, nullptr, nullptr, SOCK_CLOEXEC);
        if (client < 0) continue;
        limit_answers(client);
        if (asks_for_state(client)) serve(client);
        ::close(client);
    }
}

void control_socket::serve(int client) {
    const std::string name = copy_name("state.db");
    const auto file = data_dir_ / name;
    const auto told = [&](std::uint64_t done, std::uint64_t all) {
        return say_in_passing(client, "at " + std::to_string(done) + " " + std::to_string(all) + "\n") && !stopping_;
    };
    const auto copied = copy_state_(file, told);
    if (!copied) {
        spdlog::warn("backup: state.db was not copied: {}", copied.err().text);
        say(client, "failed " + copied.err().text + "\n");
        return;
    }
    spdlog::info("backup: state.db copied");
    if (say(client, "file " + name + "\n")) wait_for(client); // it says no more; its end comes
    ::unlink(file.c_str());
}

} // namespace fb::app
