#include "broker/backup/writer.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "broker/backup/disk.hpp"

namespace fb::backup {

namespace {

constexpr std::size_t written_at_once_bytes = 1 << 18;

} // namespace

backup_writer::backup_writer(std::filesystem::path file, const std::optional<std::string>& passphrase,
                             const description& d, std::int64_t created_at, progress told)
    : file_(std::move(file))
    , temporary_(file_.string() + ".partial-XXXXXX")
    , told_(std::move(told)) {
    if (std::filesystem::exists(std::filesystem::symlink_status(file_)))
        throw failure(fault::not_done, file_.string() + " exists already");
    std::string name = temporary_.string();
    fd_ = ::mkostemp(name.data(), O_CLOEXEC); // 0600
    if (fd_ < 0) disk_failure("create", temporary_);
    temporary_ = name;
    try {
        archive_writer::sink out = [this](std::string_view bytes) { write_out(bytes); };
        if (passphrase) {
            sealer_.emplace(*passphrase, std::move(out));
            out = [this](std::string_view bytes) { sealer_->write(bytes); };
        }
        archive_ = std::make_unique<archive_writer>(std::move(out), created_at);
        add_text(std::string(description_name), to_json(d));
    } catch (...) {
        ::close(std::exchange(fd_, -1));
        ::unlink(temporary_.c_str());
        throw;
    }
}

backup_writer::~backup_writer() {
    archive_.reset(); // before the file it might still want to write to
    if (fd_ < 0) return;
    ::close(fd_);
    ::unlink(temporary_.c_str());
}

void backup_writer::write_out(std::string_view bytes) {
    write_all(fd_, bytes, temporary_);
    file_bytes_ += bytes.size();
}

void backup_writer::begin(const std::string& name, std::uint64_t size) {
    if (!safe_name(name))
        throw failure(fault::not_done, "a file has a name that cannot be in a backup: " + name + "; rename it");
    archive_->begin(name, size);
    members_.push_back({name, size, {}});
    left_ = size;
    hash_.emplace(certs::digest_kind::sha256);
}

void backup_writer::put(std::string_view bytes) {
    if (bytes.size() > left_) bytes = bytes.substr(0, left_); // a file that grew: what it was
    archive_->write(bytes);
    hash_->update(bytes);
    left_ -= bytes.size();
    member_bytes_ += bytes.size();
    if (told_) told_(member_bytes_);
}

void backup_writer::end() {
    if (left_ != 0)
        throw failure(fault::not_done, members_.back().name + " became shorter while it was read; try again");
    members_.back().sha256 = hash_->finish_hex();
}

void backup_writer::add_text(const std::string& name, std::string_view content) {
    begin(name, content.size());
    put(content);
    end();
}

void backup_writer::add_file(const std::string& name, const std::filesystem::path& file) {
    const descriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) disk_failure("read", file);
    add_descriptor(name, fd.get());
}

void backup_writer::add_descriptor(const std::string& name, int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) disk_failure("examine", name);
    if (!S_ISREG(info.st_mode)) throw failure(fault::not_done, name + " is not a plain file");
    begin(name, static_cast<std::uint64_t>(info.st_size));
    std::string buffer(written_at_once_bytes, '\0');
    for (off_t at = 0; left_ != 0;) {
        const ssize_t count = ::pread(fd, buffer.data(), buffer.size(), at);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) disk_failure("read", name);
        if (count == 0) break;
        put(std::string_view(buffer).substr(0, static_cast<std::size_t>(count)));
        at += count;
    }
    end();
}

void backup_writer::finish() {
    const std::string manifest = to_json(members_);
    add_text(std::string(manifest_name), manifest);
    add_text(std::string(manifest_hash_name), certs::sha256_hex(manifest) + "  " + std::string(manifest_name) + "\n");
    archive_->finish();
    archive_.reset();
    if (sealer_) sealer_->finish();
    if (::fsync(fd_) != 0) disk_failure("sync", temporary_);
    ::close(std::exchange(fd_, -1));
    if (::rename(temporary_.c_str(), file_.c_str()) != 0) {
        const int code = errno;
        ::unlink(temporary_.c_str());
        errno = code;
        disk_failure("put in place", file_);
    }
    const auto directory = file_.parent_path();
    sync_directory(directory.empty() ? "." : directory);
}

} // namespace fb::backup
