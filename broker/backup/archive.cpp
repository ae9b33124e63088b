#include "broker/backup/archive.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "broker/backup/failure.hpp"

namespace fb::backup {

namespace {

constexpr int block_bytes = 65'536;

struct entry_deleter {
    void operator()(archive_entry* e) const noexcept { archive_entry_free(e); }
};
using entry_ptr = std::unique_ptr<archive_entry, entry_deleter>;

/// An exception must not pass through C: libarchive sees an error, and it is thrown again behind it.
template <class Call>
auto guarded(std::exception_ptr& thrown, archive* a, Call call) -> decltype(call()) {
    try {
        return call();
    } catch (...) {
        thrown = std::current_exception();
        archive_set_error(a, EIO, "stopped");
        return -1;
    }
}

std::string words_of(archive* a) {
    const char* const text = archive_error_string(a);
    return text != nullptr ? text : "libarchive failed";
}

} // namespace

void archive_write_end::operator()(archive* a) const noexcept { archive_write_free(a); }

void archive_read_end::operator()(archive* a) const noexcept { archive_read_free(a); }

// --- writing ---

archive_writer::archive_writer(sink out, std::int64_t modified_at)
    : out_(std::move(out))
    , modified_at_(modified_at)
    , archive_(archive_write_new()) {
    if (!archive_) throw failure(fault::not_done, "no memory for an archive");
    // libarchive must not learn of a failure: after one it does not close its own buffers, and loses them.
    const auto put = [](archive*, void* self, const void* bytes, std::size_t count) -> la_ssize_t {
        auto& writer = *static_cast<archive_writer*>(self);
        if (!writer.silent_) {
            try {
                writer.out_(std::string_view(static_cast<const char*>(bytes), count));
            } catch (...) {
                writer.thrown_ = std::current_exception();
                writer.silent_ = true;
            }
        }
        return static_cast<la_ssize_t>(count);
    };
    require(archive_write_set_format_gnutar(archive_.get()));
    require(archive_write_add_filter_zstd(archive_.get()));
    require(archive_write_set_bytes_per_block(archive_.get(), block_bytes));
    require(archive_write_set_bytes_in_last_block(archive_.get(), 1));
    require(archive_write_open2(archive_.get(), this, nullptr, put, nullptr, nullptr));
}

archive_writer::~archive_writer() { silent_ = true; } // its end would be written now

void archive_writer::require(int code) {
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    if (code == ARCHIVE_OK) return;
    throw failure(fault::not_done, "the backup cannot be written: " + words_of(archive_.get()));
}

void archive_writer::begin(const std::string& name, std::uint64_t size) {
    const entry_ptr entry(archive_entry_new());
    archive_entry_set_pathname(entry.get(), name.c_str());
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
    archive_entry_set_filetype(entry.get(), AE_IFREG);
    archive_entry_set_perm(entry.get(), 0600);
    archive_entry_set_mtime(entry.get(), modified_at_, 0);
    require(archive_write_header(archive_.get(), entry.get()));
}

void archive_writer::write(std::string_view bytes) {
    while (!bytes.empty()) {
        const la_ssize_t count = archive_write_data(archive_.get(), bytes.data(), bytes.size());
        require(count > 0 ? ARCHIVE_OK : count == 0 ? ARCHIVE_FATAL : static_cast<int>(count));
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
}

void archive_writer::finish() { require(archive_write_close(archive_.get())); }

// --- reading ---

archive_reader::archive_reader(source in)
    : in_(std::move(in))
    , archive_(archive_read_new()) {
    if (!archive_) throw failure(fault::not_done, "no memory for an archive");
    const auto give = [](archive* a, void* self, const void** bytes) -> la_ssize_t {
        auto& reader = *static_cast<archive_reader*>(self);
        return guarded(reader.thrown_, a, [&] {
            const std::string_view part = reader.in_();
            *bytes = part.data();
            return static_cast<la_ssize_t>(part.size());
        });
    };
    require(archive_read_support_filter_zstd(archive_.get()));
    require(archive_read_support_format_tar(archive_.get()));
    require(archive_read_open(archive_.get(), this, nullptr, give, nullptr));
}

void archive_reader::require(long code) {
    if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
    if (code < ARCHIVE_OK)
        throw failure(fault::unusable, "the backup is damaged or cut short: " + words_of(archive_.get()));
}

std::optional<archive_reader::member> archive_reader::next() {
    archive_entry* entry = nullptr;
    const int code = archive_read_next_header(archive_.get(), &entry);
    require(code);
    if (code == ARCHIVE_EOF) {
        while (!in_().empty()) {
        } // an encrypted stream is verified to its very end
        return std::nullopt;
    }
    const char* const name = archive_entry_pathname(entry);
    if (name == nullptr || archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) != nullptr ||
        archive_entry_symlink(entry) != nullptr || archive_entry_size_is_set(entry) == 0)
        throw failure(fault::unusable, "the backup holds something that is not a plain file" +
                                           (name != nullptr ? ": " + std::string(name) : std::string()));
    return member{name, static_cast<std::uint64_t>(archive_entry_size(entry))};
}

std::size_t archive_reader::read(std::span<char> into) {
    const la_ssize_t count = archive_read_data(archive_.get(), into.data(), into.size());
    require(count);
    return static_cast<std::size_t>(count);
}

} // namespace fb::backup
