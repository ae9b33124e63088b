#include "storage/redo/segment_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "storage/aside.hpp"
#include "storage/disk_trouble.hpp"

namespace fb::storage::redo {

namespace {

constexpr std::size_t zeros_bytes = 1 << 20;

error failed(const char* doing, const std::filesystem::path& path, int code = errno) {
    return {error_kind::unavailable,
            std::string("cannot ") + doing + " " + path.string() + ": " + words_of_disk_error(code)};
}

status sync_folder(const std::filesystem::path& folder) {
    const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return failed("open", folder);
    const int code = ::fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    if (code != 0) return failed("sync", folder, code);
    return done{};
}

class posix_file final : public segment_file {
  public:
    posix_file(std::filesystem::path path, int fd)
        : path_(std::move(path))
        , fd_(fd) {}
    ~posix_file() override { ::close(fd_); }
    posix_file(const posix_file&) = delete;
    posix_file& operator=(const posix_file&) = delete;

    status write(std::uint64_t offset, std::string_view bytes) override {
        while (!bytes.empty()) {
            const ssize_t written = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
            if (written < 0) {
                if (errno == EINTR) continue;
                return failed("write", path_);
            }
            bytes.remove_prefix(static_cast<std::size_t>(written));
            offset += static_cast<std::uint64_t>(written);
        }
        return done{};
    }

    status sync() override {
        if (::fdatasync(fd_) != 0) return failed("sync", path_);
        return done{};
    }

    result<std::size_t> read(std::uint64_t offset, std::span<char> into) override {
        std::size_t got = 0;
        while (got < into.size()) {
            const ssize_t n = ::pread(fd_, into.data() + got, into.size() - got, static_cast<off_t>(offset + got));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return failed("read", path_);
            if (n == 0) break;
            got += static_cast<std::size_t>(n);
        }
        return got;
    }

  private:
    std::filesystem::path path_;
    int fd_;
};

class posix_directory final : public segment_directory {
  public:
    explicit posix_directory(std::filesystem::path folder)
        : folder_(std::move(folder)) {}

    static status make(const std::filesystem::path& folder) {
        if (::mkdir(folder.c_str(), 0700) == 0) return sync_folder(folder.parent_path());
        if (errno != EEXIST) return failed("create", folder);
        return done{};
    }

    result<std::vector<std::string>> names() override {
        std::error_code ec;
        std::vector<std::string> all;
        std::filesystem::directory_iterator each(folder_, ec);
        for (; !ec && each != std::filesystem::directory_iterator(); each.increment(ec))
            all.push_back(each->path().filename().string());
        if (ec) return failed("list", folder_, ec.value());
        return all;
    }

    result<std::unique_ptr<segment_file>> open(const std::string& name) override {
        const auto path = folder_ / name;
        const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
        if (fd < 0) return failed("open", path);
        return std::unique_ptr<segment_file>(std::make_unique<posix_file>(path, fd));
    }

    result<std::unique_ptr<segment_file>> create(const std::string& name, std::uint64_t bytes) override {
        const auto path = folder_ / name;
        const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0) return failed("create", path);
        std::unique_ptr<segment_file> file = std::make_unique<posix_file>(path, fd);
        // Written, not only reserved: a later sync has nothing left to tell the file system, and takes half the time.
        const std::string zeros(zeros_bytes, '\0');
        auto filled = status(done{});
        for (std::uint64_t at = 0; filled && at < bytes; at += zeros_bytes)
            filled = file->write(at, std::string_view(zeros).substr(0, bytes - at));
        if (filled) filled = file->sync();
        if (!filled) {
            ::unlink(path.c_str()); // not a part of it, on a disk that is full
            return filled.err();
        }
        if (auto synced = sync_folder(folder_); !synced) return synced.err();
        return file;
    }

    result<std::string> put_aside() override {
        const std::string aside = aside_name(folder_).string();
        if (::rename(folder_.c_str(), aside.c_str()) != 0) return failed("put aside", folder_);
        if (auto made = make(folder_); !made) return made.err();
        return aside;
    }

  private:
    std::filesystem::path folder_;
};

} // namespace

result<std::unique_ptr<segment_directory>> open_segment_directory(const std::filesystem::path& folder) {
    if (auto made = posix_directory::make(folder); !made) return made.err();
    return std::unique_ptr<segment_directory>(std::make_unique<posix_directory>(folder));
}

} // namespace fb::storage::redo
