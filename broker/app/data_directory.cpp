#include "broker/app/data_directory.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/backup/restore.hpp"
#include "certs/digest.hpp"
#include "http/tokens.hpp"

namespace fb::app {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& what) {
    throw std::runtime_error(file.string() + ": " + what);
}

std::string read_file(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) fail(file, std::string("cannot be read: ") + std::strerror(errno));
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

void sync_directory(const std::filesystem::path& directory) {
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    ::fsync(fd);
    ::close(fd);
}

/// Whole or not at all, readable by us alone, on the disk when this returns.
void write_secret(const std::filesystem::path& file, const std::string& content) {
    const std::filesystem::path temporary = file.string() + ".new";
    const int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) fail(temporary, std::string("cannot be created: ") + std::strerror(errno));
    ::fchmod(fd, 0600); // it may have been there
    const bool written =
        ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) && ::fsync(fd) == 0;
    const int error = errno;
    ::close(fd);
    if (!written) fail(temporary, std::string("cannot be written: ") + std::strerror(error));
    if (::rename(temporary.c_str(), file.c_str()) != 0)
        fail(file, std::string("cannot be put in place: ") + std::strerror(errno));
    sync_directory(file.parent_path());
}

std::string holder_of(int lock) {
    std::array<char, 32> text{};
    const ssize_t n = ::pread(lock, text.data(), text.size() - 1, 0);
    return n > 0 ? " (process " + std::string(text.data(), static_cast<std::size_t>(n)) + ")" : "";
}

storage::timestamp wall_clock() {
    return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

} // namespace

data_directory::data_directory(std::filesystem::path path)
    : path_(std::move(path)) {
    std::error_code error;
    const bool made = std::filesystem::create_directories(path_, error);
    if (error) fail(path_, "the data directory cannot be created: " + error.message());
    if (made) ::chmod(path_.c_str(), 0700);
    const auto file = path_ / "lock";
    lock_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_ < 0) fail(file, std::string("cannot be opened: ") + std::strerror(errno));
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
        if (const int why = errno; why != EWOULDBLOCK) {
            ::close(lock_);
            fail(file, std::string("cannot be locked: ") + std::strerror(why));
        }
        const std::string holder = holder_of(lock_);
        ::close(lock_);
        throw directory_in_use(path_.string() + ": the data directory is in use by another fotabroker" + holder +
                               "; stop it or name another --data-dir");
    }
    const std::string pid = std::to_string(::getpid());
    [[maybe_unused]] const bool noted =
        ::ftruncate(lock_, 0) == 0 && ::pwrite(lock_, pid.data(), pid.size(), 0) > 0; // for people
}

data_directory::~data_directory() {
    if (lock_ >= 0) ::close(lock_);
}

void data_directory::require_whole() const {
    if (const auto half = path_ / backup::staging_folder; std::filesystem::exists(half))
        fail(half,
             "a restore did not come to its end: run `fotabroker restore --force` again, or remove this folder to "
             "start with what is there");
}

std::string data_directory::url_key() const {
    constexpr std::size_t key_bytes = 32;
    const auto directory = path_ / "keys";
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
        fail(directory, std::string("cannot be created: ") + std::strerror(errno));
    }
    const auto file = directory / "url.key";
    if (!std::filesystem::exists(file)) write_secret(file, certs::random_bytes(key_bytes));
    const std::string key = read_file(file);
    if (key.size() != key_bytes)
        fail(file, "is damaged: it must hold 32 bytes; remove it and issued download URLs end");
    return key;
}

bool data_directory::has_damaged_fota_db() const {
    std::error_code ec;
    for (const auto& entry : std::filesystem::directory_iterator(path_, ec))
        if (entry.path().filename().string().starts_with("fota.db.corrupt-")) return true;
    return false;
}

storage::gateway_uuid data_directory::gateway_id() const {
    const auto file = path_ / "gateway.id";
    if (!std::filesystem::exists(file))
        write_secret(file, to_string(storage::new_id<storage::gateway_uuid>(wall_clock())) + "\n");
    std::string text = read_file(file);
    while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
    const auto id = storage::parse_id<storage::gateway_uuid>(text);
    if (!id) fail(file, "is damaged: it must be a UUID; remove it, and this is a new gateway to the database");
    return *id;
}

void data_directory::ensure_admin_token(storage::fota_store& store, const std::string& name) const {
    const auto reader = store.open_reader();
    if (!reader) throw std::runtime_error(reader.err().text);
    const storage::timestamp now = wall_clock();
    std::vector<storage::fota_operation> operations;
    const auto log = [now](const char* action, const storage::api_token& t) {
        return http::token_entry("fotabroker", action, t, now);
    };
    http::new_token fresh = http::make_token(name, http::role::admin, now, std::nullopt);
    if (std::filesystem::exists(admin_token())) {
        std::string secret = read_file(admin_token());
        while (!secret.empty() && (secret.back() == '\n' || secret.back() == '\r')) secret.pop_back();
        const auto known = (*reader)->find_token(http::token_hash(secret));
        if (!known) throw std::runtime_error(known.err().text);
        if (*known) return;                         // revoked ones too: a person did that
        if (secret.size() == fresh.secret.size()) { // an empty or cut file must never become a way in
            fresh.secret = secret;
            fresh.row.hash = http::token_hash(secret);
        }
    }
    const auto tokens = (*reader)->list_tokens();
    if (!tokens) throw std::runtime_error(tokens.err().text);
    for (const storage::api_token& t : *tokens) {
        if (t.name == name && !t.revoked_at)
            operations.push_back(storage::revoke_token{t.id, now, log("token.revoke", t)});
    }
    operations.push_back(storage::save_token{fresh.row, log("token.create", fresh.row)});
    // The file first: a crash in between leaves a file whose token is put into the database at the next start.
    write_secret(admin_token(), fresh.secret + "\n");
    for (const auto& outcome : store.apply(operations)) {
        if (!outcome) throw std::runtime_error(outcome.err().text);
    }
}

} // namespace fb::app
