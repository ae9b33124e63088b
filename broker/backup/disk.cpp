#include "broker/backup/disk.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "storage/disk_trouble.hpp"

namespace fb::backup {

void disk_failure(const char* doing, const std::filesystem::path& file) {
    const std::string why = storage::words_of_disk_error(errno);
    throw failure(fault::not_done, std::string("cannot ") + doing + " " + file.string() + ": " + why);
}

void write_all(int fd, std::string_view bytes, const std::filesystem::path& file) {
    while (!bytes.empty()) {
        const ssize_t count = ::write(fd, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) disk_failure("write", file);
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
}

void sync_directory(const std::filesystem::path& directory) {
    const descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0 || ::fsync(fd.get()) != 0) disk_failure("sync", directory);
}

descriptor& descriptor::operator=(descriptor&& other) noexcept {
    if (this != &other) {
        if (fd_ >= 0) ::close(fd_);
        fd_ = other.release();
    }
    return *this;
}

descriptor::~descriptor() {
    if (fd_ >= 0) ::close(fd_);
}

int descriptor::release() noexcept { return std::exchange(fd_, -1); }

} // namespace fb::backup
