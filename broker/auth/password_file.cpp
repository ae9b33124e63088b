#include "broker/auth/password_file.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <unistd.h>

#include "proto/utf8.hpp"

namespace fb::auth {
namespace {

constexpr std::size_t name_bytes_max = 256;
constexpr std::size_t file_bytes_max = 256u << 20;

[[noreturn]] void fail(const std::filesystem::path& file, const std::string& what) {
    throw std::runtime_error(file.string() + ": " + what);
}

void write_all(int fd, std::string_view text, const std::filesystem::path& file) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n < 0 && errno != EINTR) fail(file, std::string("cannot be written: ") + std::strerror(errno));
        if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
    }
}

/// What is wrong with a line, or nothing once it is in `users`.
std::string take_line(std::string_view line, password_file& users) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return "no ':' between the user name and the stored password";
    const auto name = line.substr(0, colon);
    if (!valid_user_name(name)) return "not a user name (1-256 bytes, no control characters)";
    if (users.find(name) != nullptr) return "user " + std::string(name) + " is in the file twice";
    auto stored = parse_stored_password(line.substr(colon + 1));
    if (!stored) {
        return "not a stored password of user " + std::string(name) +
               " (\"fotabroker passwd\" or mosquitto_passwd makes one)";
    }
    users.set(std::string(name), std::move(*stored));
    return {};
}

} // namespace

bool valid_user_name(std::string_view name) noexcept {
    if (name.empty() || name.size() > name_bytes_max || !proto::valid_utf8_string(name)) return false;
    for (const unsigned char c : name) {
        if (c < ' ' || c == 0x7F || c == ':') return false;
    }
    return name.front() != '#';
}

password_file::password_file(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) fail(file, std::string("cannot be read: ") + std::strerror(errno));
    std::error_code unknown;
    if (std::filesystem::file_size(file, unknown) > file_bytes_max || unknown) fail(file, "is no password file");
    const std::string text(std::istreambuf_iterator<char>(in), {});
    *this = parse(text, file.string());
}

password_file password_file::parse(std::string_view text, const std::string& name) {
    password_file users;
    std::string faults;
    std::size_t number = 0;
    while (!text.empty()) {
        ++number;
        const auto end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || line.front() == '#') continue;
        const std::string fault = take_line(line, users);
        if (fault.empty()) continue;
        faults += (faults.empty() ? "" : "\n") + name + ":" + std::to_string(number) + ": " + fault;
    }
    if (!faults.empty()) throw std::runtime_error(faults);
    return users;
}

const stored_password* password_file::find(std::string_view user) const {
    const auto at = users_.find(user);
    return at == users_.end() ? nullptr : &at->second;
}

bool password_file::erase(std::string_view user) {
    const auto at = users_.find(user);
    if (at == users_.end()) return false;
    users_.erase(at);
    return true;
}

void password_file::save(const std::filesystem::path& file) const {
    std::string text;
    for (const auto& [name, stored] : users_) text += name + ":" + to_text(stored) + "\n";
    const std::filesystem::path next = file.string() + ".new";
    const int fd = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) fail(next, std::string("cannot be written: ") + std::strerror(errno));
    try {
        write_all(fd, text, next);
        if (::fsync(fd) != 0) fail(next, std::string("cannot be written: ") + std::strerror(errno));
    } catch (...) {
        ::close(fd);
        ::unlink(next.c_str());
        throw;
    }
    ::close(fd);
    if (::rename(next.c_str(), file.c_str()) != 0)
        fail(file, std::string("cannot be replaced: ") + std::strerror(errno));
    const auto folder = std::filesystem::absolute(file).parent_path();
    if (const int dir = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); dir >= 0) {
        ::fsync(dir);
        ::close(dir);
    }
}

} // namespace fb::auth
