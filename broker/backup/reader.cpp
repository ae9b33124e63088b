#include "broker/backup/reader.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "certs/digest.hpp"

namespace fb::backup {

namespace {

constexpr std::size_t read_at_once_bytes = 1 << 18;
constexpr std::uint64_t text_bytes_max = 64 << 20; // of a manifest: 300,000 members
constexpr std::size_t members_max = 1'000'000;
constexpr std::string_view zstd_mark = "\x28\xb5\x2f\xfd";

[[noreturn]] void unusable(const std::string& words) { throw failure(fault::unusable, words); }

} // namespace

backup_reader::backup_reader(const std::filesystem::path& file, const ask& passphrase, progress told)
    : file_(file)
    , told_(std::move(told))
    , fd_(::open(file.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat info {};
    if (fd_.get() < 0 || ::fstat(fd_.get(), &info) != 0) disk_failure("read", file);
    if (!S_ISREG(info.st_mode)) throw failure(fault::not_done, file.string() + " is not a plain file");
    file_bytes_ = static_cast<std::uint64_t>(info.st_size);
    std::string mark(certs::sealed_mark.size(), '\0');
    mark.resize(read_file(mark));
    if (::lseek(fd_.get(), 0, SEEK_SET) != 0) disk_failure("read", file);
    read_bytes_ = 0;
    if (mark == certs::sealed_mark)
        begin_unsealing(passphrase());
    else if (!mark.starts_with(zstd_mark))
        unusable(file.string() + " is not a backup of fotabroker");
    archive_ = std::make_unique<archive_reader>([this] { return next_part(); });
    const auto first = archive_->next();
    if (!first || first->name != description_name) unusable(file.string() + " is not a backup of fotabroker");
    const std::string text = text_of(*first);
    about_ = parse_description(text);
    seen_[first->name] = {first->name, text.size(), certs::sha256_hex(text)};
}

std::size_t backup_reader::read_file(std::span<char> into) {
    std::size_t got = 0;
    while (got < into.size()) {
        const ssize_t count = ::read(fd_.get(), into.data() + got, into.size() - got);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) disk_failure("read", file_);
        if (count == 0) break;
        got += static_cast<std::size_t>(count);
    }
    read_bytes_ += got;
    if (told_) told_(read_bytes_);
    return got;
}

void backup_reader::begin_unsealing(const std::string& passphrase) {
    try {
        unsealer_.emplace(passphrase, [this](std::span<char> into) { return read_file(into); });
    } catch (const certs::wrong_passphrase& e) {
        throw failure(fault::passphrase, e.what());
    } catch (const certs::unsealing_failure& e) {
        unusable(e.what());
    }
}

std::string_view backup_reader::next_part() {
    if (!unsealer_) {
        part_.resize(read_at_once_bytes);
        part_.resize(read_file(part_));
        return part_;
    }
    try {
        part_ = unsealer_->next();
    } catch (const certs::unsealing_failure& e) {
        unusable(e.what());
    }
    return part_;
}

std::string backup_reader::text_of(const archive_reader::member& m) {
    if (m.size > text_bytes_max) unusable("the backup is damaged: its " + m.name + " is too long");
    std::string text(m.size, '\0');
    std::size_t got = 0;
    while (got < text.size()) {
        const std::size_t count = archive_->read(std::span(text).subspan(got));
        if (count == 0) unusable("the backup is damaged: its " + m.name + " is cut short");
        got += count;
    }
    return text;
}

void backup_reader::extract(const archive_reader::member& m, const std::filesystem::path& folder) {
    const auto path = folder / m.name;
    std::error_code ec;
    std::filesystem::create_directories(path.parent_path(), ec);
    if (ec) throw failure(fault::not_done, "cannot create " + path.parent_path().string() + ": " + ec.message());
    const descriptor out(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (out.get() < 0) disk_failure("create", path);
    certs::digest hash(certs::digest_kind::sha256);
    std::string buffer(read_at_once_bytes, '\0');
    std::uint64_t size = 0;
    while (const std::size_t count = archive_->read(buffer)) {
        const std::string_view bytes = std::string_view(buffer).substr(0, count);
        write_all(out.get(), bytes, path);
        hash.update(bytes);
        size += count;
    }
    if (::fsync(out.get()) != 0) disk_failure("sync", path);
    seen_[m.name] = {m.name, size, hash.finish_hex()};
}

std::vector<member> backup_reader::extract_to(const std::filesystem::path& folder) {
    std::string manifest, hash_line;
    while (const auto m = archive_->next()) {
        if (!safe_name(m->name)) unusable("the backup holds a file whose name points outside of it, or is none");
        if (seen_.size() >= members_max) unusable("the backup holds too many files");
        if (seen_.contains(m->name)) unusable("the backup holds " + m->name + " twice");
        if (m->name == manifest_name)
            manifest = text_of(*m);
        else if (m->name == manifest_hash_name)
            hash_line = text_of(*m);
        else if (!manifest.empty())
            unusable("the backup is damaged: " + m->name + " stands behind its manifest");
        else
            extract(*m, folder);
    }
    if (manifest.empty() || hash_line.empty()) unusable("the backup is cut short: it has no manifest");
    std::vector<member> members = parse_members(manifest);
    verify(members, manifest, hash_line);
    return members;
}

void backup_reader::verify(std::vector<member>& members, const std::string& manifest,
                           const std::string& hash_line) const {
    if (!hash_line.starts_with(certs::sha256_hex(manifest)))
        unusable("the backup is damaged: its manifest is not what it was");
    for (const member& m : members) {
        const auto found = seen_.find(m.name);
        if (found == seen_.end()) unusable("the backup is damaged: " + m.name + " is missing");
        if (found->second != m) unusable("the backup is damaged: " + m.name + " is not what it was");
    }
    if (members.size() != seen_.size()) unusable("the backup is damaged: it holds files that its manifest has not");
    std::erase_if(members, [](const member& m) { return m.name == description_name; });
}

} // namespace fb::backup
