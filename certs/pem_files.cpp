#include "certs/pem_files.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fb::certs {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const fs::path& path, int error, const char* what) {
    std::string text = path.string() + ": " + what + ": " + std::strerror(error);
    if (error == EACCES || error == EPERM)
        text += "; run as the file's owner, or let uid " + std::to_string(::geteuid()) + " at it (chown, chmod)";
    throw failure(text);
}

bio_ptr open_for_reading(const fs::path& path) {
    std::FILE* file = std::fopen(path.c_str(), "rbe");
    if (!file) fail(path, errno, "cannot read");
    return bio_ptr(BIO_new_fp(file, BIO_CLOSE));
}

int refuse_password(char*, int, int, void*) { return -1; } // OpenSSL's own would ask on the terminal

class descriptor {
  public:
    descriptor(const fs::path& path, int flags, mode_t mode)
        : path_(path)
        , fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
    ~descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;

    int get() const { return fd_; }
    bool is_open() const { return fd_ >= 0; }

    void write_and_sync(std::string_view bytes) const {
        while (!bytes.empty()) {
            const auto written = ::write(fd_, bytes.data(), bytes.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) fail(path_, errno, "cannot write");
            bytes.remove_prefix(static_cast<std::size_t>(written));
        }
        if (::fsync(fd_) != 0) fail(path_, errno, "cannot write");
    }

  private:
    const fs::path& path_;
    int fd_;
};

void sync_directory_of(const fs::path& path) {
    const fs::path directory = path.has_parent_path() ? path.parent_path() : fs::path(".");
    const descriptor opened(directory, O_RDONLY | O_DIRECTORY, 0);
    if (opened.is_open()) ::fsync(opened.get());
}

void create(const fs::path& path, std::string_view bytes, mode_t mode) {
    const descriptor file(path, O_WRONLY | O_CREAT | O_EXCL, mode);
    if (!file.is_open()) {
        if (errno == EEXIST) refuse_existing(path);
        fail(path, errno, "cannot create");
    }
    try {
        if (::fchmod(file.get(), mode) != 0) fail(path, errno, "cannot set its mode"); // whatever the umask says
        file.write_and_sync(bytes);
    } catch (const failure&) {
        ::unlink(path.c_str());
        throw;
    }
}

void replace(const fs::path& path, std::string_view bytes, mode_t mode) {
    const fs::path fresh = path.string() + ".new";
    ::unlink(fresh.c_str()); // left by a crash
    create(fresh, bytes, mode);
    if (::rename(fresh.c_str(), path.c_str()) == 0) return;
    const int error = errno;
    ::unlink(fresh.c_str());
    fail(path, error, "cannot replace");
}

std::string_view contents(BIO* memory) {
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(memory, &bytes);
    return {bytes, static_cast<std::size_t>(size)};
}

} // namespace

void refuse_existing(const fs::path& path) { throw failure(path.string() + " exists already; --force overwrites it"); }

std::vector<x509_ptr> read_certificates(const fs::path& path) {
    const auto file = open_for_reading(path);
    std::vector<x509_ptr> certificates;
    ERR_clear_error();
    while (X509* next = PEM_read_bio_X509(file.get(), nullptr, refuse_password, nullptr))
        certificates.emplace_back(next);
    // The loop ends with "no start line" at the end of the file; anything else is a damaged certificate.
    const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    const std::string why = openssl_errors();
    if (certificates.empty() && at_end) throw failure(path.string() + ": holds no PEM certificate");
    if (!at_end) throw failure(path.string() + ": a certificate in it is damaged: " + why);
    return certificates;
}

key_ptr read_private_key(const fs::path& path) {
    const auto file = open_for_reading(path);
    ERR_clear_error();
    key_ptr key(PEM_read_bio_PrivateKey(file.get(), nullptr, refuse_password, nullptr));
    if (key) return key;
    const auto reason = ERR_GET_REASON(ERR_peek_last_error());
    const std::string why = openssl_errors();
    if (reason == PEM_R_BAD_PASSWORD_READ)
        throw failure(path.string() + ": is encrypted, and nobody is there to type the password; "
                                      "`openssl pkey -in FILE -out PLAIN` removes it");
    throw failure(path.string() + ": holds no PEM private key: " + why);
}

std::string to_pem(X509* certificate) {
    const bio_ptr memory(BIO_new(BIO_s_mem()));
    if (!memory || PEM_write_bio_X509(memory.get(), certificate) != 1) throw failure(openssl_errors());
    return std::string(contents(memory.get()));
}

void write_pem(const fs::path& path, std::string_view pem, file_kind kind, bool force) {
    const mode_t mode = kind == file_kind::key ? 0600 : 0644;
    if (force)
        replace(path, pem, mode);
    else
        create(path, pem, mode);
    sync_directory_of(path);
}

void write_private_key(const fs::path& path, EVP_PKEY* key, bool force) {
    const bio_ptr memory(BIO_new(BIO_s_secmem())); // wiped when freed
    if (!memory || PEM_write_bio_PrivateKey(memory.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
        throw failure(openssl_errors());
    write_pem(path, contents(memory.get()), file_kind::key, force);
}

void make_private_directory(const fs::path& path) {
    std::error_code error;
    if (path.empty() || fs::is_directory(path, error)) return;
    if (const auto parent = path.parent_path(); parent != path) make_private_directory(parent);
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) fail(path, errno, "cannot create the directory");
}

void append_line(const fs::path& path, std::string_view line) {
    const descriptor file(path, O_RDWR | O_CREAT | O_APPEND, 0600);
    if (!file.is_open()) fail(path, errno, "cannot write");
    std::string bytes;
    char last = '\n';
    if (const auto size = ::lseek(file.get(), 0, SEEK_END); size > 0 && ::pread(file.get(), &last, 1, size - 1) != 1)
        fail(path, errno, "cannot read");
    if (last != '\n') bytes += '\n';
    bytes.append(line).append("\n");
    file.write_and_sync(bytes);
    sync_directory_of(path);
}

} // namespace fb::certs
