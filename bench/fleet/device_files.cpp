#include "bench/fleet/device_files.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>

#include "bench/fleet/json.hpp"

namespace fb::fleet {
namespace {

constexpr std::size_t block_bytes = 64 * 1024;

[[noreturn]] void throw_errno(const char* what, const std::filesystem::path& path) {
    throw std::filesystem::filesystem_error(what, path, std::error_code(errno, std::generic_category()));
}

/// Closes the descriptor it holds.
class open_file {
  public:
    open_file(const std::filesystem::path& path, int flags)
        : path_(path)
        , fd_(::open(path.c_str(), flags, 0644)) {}
    ~open_file() {
        if (fd_ >= 0) ::close(fd_);
    }
    open_file(const open_file&) = delete;
    open_file& operator=(const open_file&) = delete;

    bool is_open() const { return fd_ >= 0; }
    int fd() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }
    void require() const {
        if (fd_ < 0) throw_errno("cannot open", path_);
    }

  private:
    std::filesystem::path path_;
    int fd_;
};

void write_all(int fd, std::string_view bytes, const std::filesystem::path& path) {
    while (!bytes.empty()) {
        const auto written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno != EINTR) throw_errno("cannot write", path);
        if (written > 0) bytes.remove_prefix(static_cast<std::size_t>(written));
    }
}

/// Hands the file's content to `take` block by block.
template <class Take>
void read_all(int fd, const std::filesystem::path& path, Take take) {
    std::array<char, block_bytes> block;
    for (;;) {
        const auto got = ::read(fd, block.data(), block.size());
        if (got < 0 && errno != EINTR) throw_errno("cannot read", path);
        if (got == 0) return;
        if (got > 0) take(std::string_view(block.data(), static_cast<std::size_t>(got)));
    }
}

void write_offer(json_object& o, const char* key, const update_command& offer) {
    o.open(key).add("update_id", offer.update_id).add("attempt", offer.attempt).add("version", offer.version);
    o.add("url", offer.url).add("sha256", offer.sha256).add("size", offer.size);
    o.add_flag("download_only", offer.download_only).close();
}

update_command read_offer(const rapidjson::Value& object, const char* key) {
    update_command out;
    const auto found = object.FindMember(key);
    if (found == object.MemberEnd() || !found->value.IsObject()) return out;
    const auto& o = found->value;
    out.update_id = json_text(o, "update_id");
    out.attempt = static_cast<unsigned>(json_number(o, "attempt", 1).value_or(1));
    out.version = json_text(o, "version");
    out.url = json_text(o, "url");
    out.sha256 = json_text(o, "sha256");
    out.size = json_number(o, "size", 0).value_or(0);
    out.download_only = o.HasMember("download_only") && o["download_only"].IsTrue();
    return out;
}

update_phase parse_phase(std::string_view name) {
    using enum update_phase;
    for (const auto phase : {downloading, downloaded, installing, rebooting})
        if (to_string(phase) == name) return phase;
    return idle;
}

} // namespace

sha256_stream::sha256_stream()
    : context_(EVP_MD_CTX_new()) {
    restart();
}

void sha256_stream::restart() { EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr); }

void sha256_stream::add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }

std::string sha256_stream::hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &size);
    constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (unsigned i = 0; i < size; ++i) {
        out += digits[digest[i] >> 4];
        out += digits[digest[i] & 15];
    }
    return out;
}

device_files::device_files(std::filesystem::path directory)
    : directory_(std::move(directory)) {
    std::filesystem::create_directories(directory_);
}

device_files::~device_files() { close_part(); }

std::string device_files::installed_version(const std::string& initial) {
    std::ifstream file(directory_ / "version");
    std::string version;
    if (std::getline(file, version) && !version.empty()) return version;
    replace("version", initial + "\n");
    return initial;
}

device_record device_files::load_record() const {
    std::ifstream file(directory_ / "state.json", std::ios::binary);
    return parse_record(std::string(std::istreambuf_iterator<char>(file), {}));
}

void device_files::save_record(const device_record& record) { replace("state.json", to_json(record)); }

void device_files::replace(const std::string& name, std::string_view content) {
    const auto path = directory_ / name;
    const auto temporary = directory_ / (name + ".tmp");
    {
        const open_file file(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
        file.require();
        write_all(file.fd(), content, temporary);
        if (::fsync(file.fd()) != 0) throw_errno("cannot sync", temporary);
    }
    std::filesystem::rename(temporary, path);
    sync_directory();
}

void device_files::sync_directory() const {
    const open_file directory(directory_, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    directory.require();
    ::fsync(directory.fd());
}

void device_files::close_part() {
    if (part_ >= 0) ::close(part_);
    part_ = -1;
}

std::uint64_t device_files::open_part() {
    close_part();
    const auto path = directory_ / "slot_b.part";
    open_file file(path, O_RDWR | O_CREAT | O_CLOEXEC);
    file.require();
    part_hash_.restart();
    part_bytes_ = 0;
    read_all(file.fd(), path, [&](std::string_view block) {
        part_hash_.add(block);
        part_bytes_ += block.size();
    });
    part_ = file.release(); // reading has left it at its end
    return part_bytes_;
}

void device_files::append(std::string_view bytes) {
    write_all(part_, bytes, directory_ / "slot_b.part");
    part_hash_.add(bytes);
    part_bytes_ += bytes.size();
}

void device_files::truncate_part() {
    close_part();
    std::filesystem::remove(directory_ / "slot_b.part");
    open_part();
}

bool device_files::seal_part(const std::string& sha256) {
    const bool right = part_hash_.hex() == sha256;
    if (right && ::fsync(part_) != 0) throw_errno("cannot sync", directory_ / "slot_b.part");
    close_part();
    if (!right) return false;
    std::filesystem::rename(directory_ / "slot_b.part", directory_ / "slot_b.bin");
    sync_directory();
    return true;
}

bool device_files::install(const std::string& sha256, const std::string& version) {
    const auto slot = directory_ / "slot_b.bin";
    const auto temporary = directory_ / "installed.bin.tmp";
    {
        const open_file from(slot, O_RDONLY | O_CLOEXEC);
        if (!from.is_open()) return false;
        const open_file to(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
        to.require();
        sha256_stream hash;
        read_all(from.fd(), slot, [&](std::string_view block) {
            hash.add(block);
            write_all(to.fd(), block, temporary);
        });
        if (hash.hex() != sha256) return false;
        if (::fsync(to.fd()) != 0) throw_errno("cannot sync", temporary);
    }
    std::filesystem::rename(temporary, directory_ / "installed.bin");
    replace("version", version + "\n");
    return true;
}

std::string to_json(const device_record& record) {
    json_object o;
    o.add("phase", std::string(to_string(record.phase))).add("slot_sha256", record.slot_sha256);
    write_offer(o, "update", record.update);
    write_offer(o, "finished", record.finished);
    o.add_flag("result_unacknowledged", record.result_unacknowledged);
    o.add("status", record.result.status).add("code", record.result.code).add("message", record.result.message);
    return o.str();
}

device_record parse_record(std::string_view json) {
    device_record out;
    rapidjson::Document o;
    o.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
    if (o.HasParseError() || !o.IsObject()) return out;
    out.phase = parse_phase(json_text(o, "phase"));
    out.slot_sha256 = json_text(o, "slot_sha256");
    out.update = read_offer(o, "update");
    out.finished = read_offer(o, "finished");
    out.result_unacknowledged = o.HasMember("result_unacknowledged") && o["result_unacknowledged"].IsTrue();
    out.result = {json_text(o, "status"), out.finished.version, out.finished.update_id,
                  out.finished.attempt,   json_text(o, "code"), json_text(o, "message")};
    return out;
}

} // namespace fb::fleet
