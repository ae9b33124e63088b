#include "broker/app/state_copy.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cstring>
#include <optional>
#include <string>
#include <thread>

#include "broker/app/control_socket.hpp"
#include "broker/app/data_directory.hpp"
#include "broker/app/open_state.hpp"

namespace fb::app {
namespace {

using backup::descriptor;
using backup::failure;
using backup::fault;

constexpr std::chrono::milliseconds look_again{100};
constexpr std::chrono::seconds start_patience{30}; // a broker that has just started reads state.db first
constexpr std::size_t line_bytes_max = 4096;

descriptor opened_without_name(const std::filesystem::path& file) {
    descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (fd.get() < 0) backup::disk_failure("read", file);
    ::unlink(file.c_str());
    return fd;
}

/// No broker runs: what the log holds goes into state.db, as at a start, and nobody changes it while we copy.
descriptor own_copy(const config& c, const data_directory& data, const copy_told& told) {
    data.require_whole();
    const auto store = open_state(data, c.state, storage::redo::redo_store::bring_in::now);
    const auto file = data.path() / copy_name("state.db");
    const auto copied = store->copy_to(file, [&](std::uint64_t done, std::uint64_t all) {
        told(done, all);
        return true;
    });
    if (!copied) throw std::runtime_error(copied.err().text);
    return opened_without_name(file);
}

/// Through /proc, because a socket's path may have 107 bytes only.
std::optional<descriptor> connected(const std::filesystem::path& data_dir) {
    const descriptor directory(::open(data_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (directory.get() < 0 || fd.get() < 0) backup::disk_failure("open", data_dir);
    const std::string path = "/proc/self/fd/" + std::to_string(directory.get()) + "/" + control_socket_name;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
    if (errno == ENOENT || errno == ECONNREFUSED) return std::nullopt;
    backup::disk_failure("ask the running broker at", data_dir / control_socket_name);
}

descriptor connect_patiently(const std::filesystem::path& data_dir, const directory_in_use& in_use) {
    const auto end = std::chrono::steady_clock::now() + start_patience;
    while (true) {
        if (auto fd = connected(data_dir)) return std::move(*fd);
        if (std::chrono::steady_clock::now() >= end)
            throw failure(fault::directory, std::string(in_use.what()) + ". It does not answer at " +
                                                (data_dir / control_socket_name).string());
        std::this_thread::sleep_for(look_again);
    }
}

/// Without its end; nothing when the connection ended.
std::optional<std::string> line_from(int fd) {
    std::string line;
    for (char c = 0; line.size() < line_bytes_max; line += c) {
        const ssize_t count = ::recv(fd, &c, 1, 0);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return std::nullopt;
        if (c == '\n') return line;
    }
    return std::nullopt;
}

void tell(const std::string& numbers, const copy_told& told) {
    std::uint64_t done = 0, all = 0;
    const char* const end = numbers.data() + numbers.size();
    const auto space = std::from_chars(numbers.data(), end, done).ptr;
    if (space != end) std::from_chars(space + 1, end, all);
    told(done, all);
}

descriptor copy_by_broker(const std::filesystem::path& data_dir, const directory_in_use& in_use,
                          const copy_told& told) {
    const descriptor broker = connect_patiently(data_dir, in_use);
    constexpr std::string_view request = "state.db\n";
    if (::send(broker.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0)
        backup::disk_failure("ask the running broker at", data_dir / control_socket_name);
    while (const auto line = line_from(broker.get())) {
        if (line->starts_with("at ")) tell(line->substr(3), told);
        if (line->starts_with("file ")) return opened_without_name(data_dir / line->substr(5));
        if (line->starts_with("failed "))
            throw failure(fault::not_done, "the running broker could not copy state.db: " + line->substr(7));
    }
    throw failure(fault::not_done, "the broker ended while it copied state.db; try again");
}

} // namespace

descriptor copy_of_state(const config& c, const copy_told& told) {
    std::optional<directory_in_use> in_use;
    try {
        const data_directory data(c.data_dir);
        return own_copy(c, data, told);
    } catch (const directory_in_use& e) {
        in_use = e;
    }
    return copy_by_broker(c.data_dir, *in_use, told);
}

} // namespace fb::app
