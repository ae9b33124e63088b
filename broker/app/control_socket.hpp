// Where a command on this machine asks the running broker for what only it can give: a copy of state.db, which nobody
// else can open. DIR/control.sock, for the data directory's owner and root.
//
//   > state.db                 the one request there is
//   < at DONE ALL              bytes, now and then
//   < file NAME                in the data directory; removed when the connection ends
//   < failed WORDS             instead
//
// A thread of its own, one connection at a time; others wait. Destruction ends a copy that is being made.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "broker/net/unix_socket.hpp"
#include "storage/redo/redo_store.hpp"

namespace fb::app {

inline constexpr const char* control_socket_name = "control.sock";

/// In the data directory: a name for a copy of this database, for the time being.
std::string copy_name(const std::string& database);
/// Copies that a crash left behind.
void remove_old_copies(const std::filesystem::path& data_dir);

class control_socket {
  public:
    using copy_function =
        std::function<storage::status(const std::filesystem::path& file, const storage::redo::copy_progress&)>;

    /// Throws std::runtime_error in words.
    control_socket(const std::filesystem::path& data_dir, copy_function copy_state);
    ~control_socket();
    control_socket(const control_socket&) = delete;
    control_socket& operator=(const control_socket&) = delete;

  private:
    void run();
    void serve(int client);
    bool wait_for(int fd) const;

    std::filesystem::path data_dir_;
    copy_function copy_state_;
    int directory_ = -1; // the socket's path goes through it, for that of a socket must be short
    int stop_ = -1;      // an eventfd
    std::optional<net::unix_listener> listener_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

} // namespace fb::app
