// A tar archive compressed with zstd, as a stream in and out (libarchive). Regular files only.
// One thread each. Throws failure.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct archive;

namespace fb::backup {

struct archive_write_end {
    void operator()(archive* a) const noexcept;
};
struct archive_read_end {
    void operator()(archive* a) const noexcept;
};

class archive_writer {
  public:
    using sink = std::function<void(std::string_view)>;
    /// `modified_at`, in seconds since 1970, is written for all members.
    archive_writer(sink out, std::int64_t modified_at);
    ~archive_writer();
    archive_writer(const archive_writer&) = delete;
    archive_writer& operator=(const archive_writer&) = delete;

    /// Then write() exactly `size` bytes.
    void begin(const std::string& name, std::uint64_t size);
    void write(std::string_view bytes);
    void finish();

  private:
    void require(int code);

    sink out_;
    std::exception_ptr thrown_; // by out_, within libarchive
    bool silent_ = false;       // nothing goes to out_ any more
    std::int64_t modified_at_;
    std::unique_ptr<archive, archive_write_end> archive_;
};

class archive_reader {
  public:
    /// The next bytes of the file, valid until the next call; empty at the end.
    using source = std::function<std::string_view()>;
    explicit archive_reader(source in);
    archive_reader(const archive_reader&) = delete;
    archive_reader& operator=(const archive_reader&) = delete;

    struct member {
        std::string name;
        std::uint64_t size = 0;
    };
    /// What is left of the member before is skipped. Nothing at the end, when `in` has given all it has.
    std::optional<member> next();
    /// 0 at the end of the member.
    std::size_t read(std::span<char> into);

  private:
    void require(long code);

    source in_;
    std::exception_ptr thrown_; // by in_, within libarchive
    std::unique_ptr<archive, archive_read_end> archive_;
};

} // namespace fb::backup
