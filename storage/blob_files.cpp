#include "storage/blob_files.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace fb::storage {

namespace {

constexpr std::string_view temporary_prefix = ".incoming-";

error failed(const char* doing, const std::filesystem::path& path, int code = errno) {
    return {error_kind::unavailable,
            std::string("cannot ") + doing + " " + path.string() + ": " + std::generic_category().message(code)};
}

bool is_blob_name(std::string_view name) {
    return name.size() == 64 && std::all_of(name.begin(), name.end(),
                                            [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

error bad_name(std::string_view name) {
    return {error_kind::invalid, "not a SHA-256 in lower-case hex: \"" + std::string(name.substr(0, 80)) + "\""};
}

status sync_directory(const std::filesystem::path& directory) {
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return failed("open", directory);
    const int code = ::fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    if (code != 0) return failed("sync", directory, code);
    return done{};
}

} // namespace

blob_writer::blob_writer(std::filesystem::path directory, std::filesystem::path temporary, int fd)
    : directory_(std::move(directory))
    , temporary_(std::move(temporary))
    , fd_(fd) {}

blob_writer::blob_writer(blob_writer&& other) noexcept
    : directory_(std::move(other.directory_))
    , temporary_(std::exchange(other.temporary_, {}))
    , fd_(std::exchange(other.fd_, -1))
    , size_(other.size_) {}

blob_writer::~blob_writer() {
    if (fd_ >= 0) ::close(fd_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

status blob_writer::write(std::string_view bytes) {
    if (fd_ < 0) return error{error_kind::unavailable, "an earlier write to " + temporary_.string() + " failed"};
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
        if (written < 0) {
            if (errno == EINTR) continue;
            const int code = errno;
            ::close(std::exchange(fd_, -1)); // what is there now is not what was meant: no later call may succeed
            return failed("write", temporary_, code);
        }
        bytes.remove_prefix(std::size_t(written));
        size_ += written;
    }
    return done{};
}

status blob_writer::commit(const std::string& sha256_hex) {
    if (!is_blob_name(sha256_hex)) return bad_name(sha256_hex);
    if (fd_ < 0) return error{error_kind::unavailable, "an earlier write to " + temporary_.string() + " failed"};
    if (::fsync(fd_) != 0) {
        const int code = errno;
        ::close(std::exchange(fd_, -1)); // after a failed sync a second one may lie
        return failed("sync", temporary_, code);
    }
    ::close(std::exchange(fd_, -1));
    const std::filesystem::path blob = directory_ / sha256_hex;
    struct stat present {};
    // One of another length can only be damaged, and is replaced.
    if (::stat(blob.c_str(), &present) == 0 && present.st_size == size_) {
        ::utimensat(AT_FDCWD, blob.c_str(), nullptr, 0); // as new: perhaps no row names it yet
        ::unlink(temporary_.c_str());
    } else if (::rename(temporary_.c_str(), blob.c_str()) != 0) {
        return failed("rename to", blob);
    }
    temporary_.clear();
    return sync_directory(directory_);
}

blob_reader::blob_reader(blob_reader&& other) noexcept
    : fd_(std::exchange(other.fd_, -1))
    , size_(other.size_) {}

blob_reader::~blob_reader() {
    if (fd_ >= 0) ::close(fd_);
}

result<std::size_t> blob_reader::read(std::int64_t offset, std::span<char> out) const {
    if (offset < 0) return error{error_kind::invalid, "a blob has no negative offsets"};
    std::size_t filled = 0;
    while (filled < out.size()) {
        const ssize_t got = ::pread(fd_, out.data() + filled, out.size() - filled, offset + off_t(filled));
        if (got < 0) {
            if (errno == EINTR) continue;
            return error{error_kind::unavailable, "cannot read a blob: " + std::generic_category().message(errno)};
        }
        if (got == 0) break;
        filled += std::size_t(got);
    }
    return filled;
}

std::vector<std::string> blob_names_of(const std::vector<std::string>& checksums) {
    constexpr std::string_view kind = "sha256:";
    std::vector<std::string> out;
    for (const std::string& checksum : checksums) {
        if (checksum.starts_with(kind) && is_blob_name(std::string_view(checksum).substr(kind.size())))
            out.push_back(checksum.substr(kind.size()));
    }
    return out;
}

blob_hold::blob_hold(blob_hold&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

blob_hold::~blob_hold() {
    if (fd_ >= 0) ::close(fd_);
}

result<blob_hold> blob_hold::of(const std::filesystem::path& directory) {
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return failed("open", directory);
    blob_hold held(fd);
    while (::flock(fd, LOCK_SH) != 0) {
        if (errno != EINTR) return failed("lock", directory);
    }
    return held;
}

result<blob_files> blob_files::open(const std::filesystem::path& directory) {
    std::error_code ec;
    std::filesystem::create_directories(directory.parent_path(), ec);
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) return failed("create", directory);
    std::filesystem::directory_iterator entries(directory, ec);
    if (ec) return failed("list", directory, ec.value());
    for (; entries != std::filesystem::directory_iterator(); entries.increment(ec)) {
        if (!entries->path().filename().string().starts_with(temporary_prefix)) continue;
        if (::unlink(entries->path().c_str()) != 0) return failed("remove", entries->path());
    }
    if (ec) return failed("list", directory, ec.value());
    return blob_files(directory);
}

result<blob_files> blob_files::present(const std::filesystem::path& directory) {
    std::error_code ec;
    if (std::filesystem::is_directory(directory, ec)) return blob_files(directory);
    return error{error_kind::not_found, directory.string() + " is not there: is this a broker's data directory?"};
}

result<blob_writer> blob_files::create() const {
    std::string name = (directory_ / (std::string(temporary_prefix) + "XXXXXX")).string();
    const int fd = ::mkostemp(name.data(), O_CLOEXEC); // 0600
    if (fd < 0) return failed("create a file in", directory_);
    return blob_writer(directory_, name, fd);
}

result<blob_reader> blob_files::open_blob(const std::string& sha256_hex) const {
    if (!is_blob_name(sha256_hex)) return bad_name(sha256_hex);
    const auto path = path_of(sha256_hex);
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT) return error{error_kind::not_found, "there is no blob " + path.string()};
        return failed("open", path);
    }
    blob_reader reader(fd, 0);
    struct stat info {};
    if (::fstat(fd, &info) != 0) return failed("examine", path);
    reader.size_ = info.st_size;
    return reader;
}

bool blob_files::exists(const std::string& sha256_hex) const {
    return is_blob_name(sha256_hex) && ::access(path_of(sha256_hex).c_str(), F_OK) == 0;
}

result<std::vector<std::string>> blob_files::names() const {
    std::vector<std::string> out;
    std::error_code ec;
    std::filesystem::directory_iterator each(directory_, ec);
    for (; !ec && each != std::filesystem::directory_iterator(); each.increment(ec)) {
        if (std::string name = each->path().filename().string(); is_blob_name(name)) out.push_back(std::move(name));
    }
    if (ec) return failed("list", directory_, ec.value());
    std::sort(out.begin(), out.end());
    return out;
}

result<blob_files::removed>
blob_files::remove_unneeded(const std::vector<std::string>& candidates,
                            const std::function<result<std::vector<std::string>>()>& needed) const {
    removed out;
    if (candidates.empty()) return out;
    const int fd = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return failed("open", directory_);
    const blob_hold lock(fd);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
        out.held = errno == EWOULDBLOCK;
        if (out.held) return out;
        return failed("lock", directory_);
    }
    auto names = needed();
    if (!names) return names.err();
    std::sort(names->begin(), names->end());
    for (const std::string& name : candidates) {
        struct stat info {};
        if (std::binary_search(names->begin(), names->end(), name) || ::stat(path_of(name).c_str(), &info) != 0)
            continue;
        if (::unlink(path_of(name).c_str()) != 0) return failed("remove", path_of(name));
        ++out.files;
        out.bytes += info.st_size;
    }
    return out;
}

result<std::vector<std::string>> blob_files::untouched_since(std::chrono::system_clock::time_point before) const {
    std::vector<std::string> out;
    std::error_code ec;
    std::filesystem::directory_iterator each(directory_, ec);
    for (; !ec && each != std::filesystem::directory_iterator(); each.increment(ec)) {
        std::string name = each->path().filename().string();
        struct stat info {};
        if (!is_blob_name(name) && !name.starts_with(temporary_prefix)) continue;
        if (::stat(each->path().c_str(), &info) == 0 && std::chrono::system_clock::from_time_t(info.st_mtime) < before)
            out.push_back(std::move(name));
    }
    if (ec) return failed("list", directory_, ec.value());
    return out;
}

std::filesystem::path blob_files::path_of(const std::string& sha256_hex) const { return directory_ / sha256_hex; }

std::int64_t blob_files::bytes_free() const {
    struct statvfs info {};
    if (::statvfs(directory_.c_str(), &info) != 0) return 0;
    return std::int64_t(info.f_bavail) * std::int64_t(info.f_frsize);
}

} // namespace fb::storage
