// The few calls that both directions need, with the file's name in what is thrown.
#pragma once

#include <filesystem>
#include <string_view>

#include "broker/backup/failure.hpp"

namespace fb::backup {

/// "cannot DOING FILE: " and errno in words.
[[noreturn]] void disk_failure(const char* doing, const std::filesystem::path& file);
void write_all(int fd, std::string_view bytes, const std::filesystem::path& file);
void sync_directory(const std::filesystem::path& directory);

/// Closes it.
class descriptor {
  public:
    explicit descriptor(int fd = -1) noexcept
        : fd_(fd) {}
    descriptor(descriptor&& other) noexcept
        : fd_(other.release()) {}
    descriptor& operator=(descriptor&& other) noexcept;
    ~descriptor();
    int get() const noexcept { return fd_; }
    int release() noexcept;

  private:
    int fd_;
};

} // namespace fb::backup
