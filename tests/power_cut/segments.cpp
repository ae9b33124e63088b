#include "segments.hpp"

#include <algorithm>

#include "storage/open.hpp"
#include "storage/redo/redo_store.hpp"

namespace fb::cut {
namespace {

using kind = disk_operation::kind;
using namespace storage;

// So short that the load fills hundreds, and each has a few dozen commits in it.
constexpr redo::settings small_segments{128 * 1024, 4, false};

class memory_file final : public redo::segment_file {
  public:
    memory_file(disk& d, int number)
        : disk_(d)
        , number_(number) {}
    status write(std::uint64_t offset, std::string_view bytes) override {
        disk_.perform({kind::write, number_, offset, std::string(bytes)});
        return done{};
    }
    status sync() override {
        disk_.perform({kind::sync, number_, 0, {}});
        return done{};
    }
    result<std::size_t> read(std::uint64_t offset, std::span<char> into) override {
        const std::string& bytes = disk_.content().files.at(number_);
        if (offset >= bytes.size()) return std::size_t{0};
        return bytes.copy(into.data(), into.size(), offset);
    }

  private:
    disk& disk_;
    int number_;
};

class memory_directory final : public redo::segment_directory {
  public:
    memory_directory(disk& d, const std::filesystem::path& folder)
        : disk_(d)
        , folder_(folder.string() + "/") {}
    result<std::vector<std::string>> names() override {
        std::vector<std::string> all;
        for (const auto& [name, file] : disk_.content().names)
            if (name.starts_with(folder_)) all.push_back(name.substr(folder_.size()));
        return all;
    }
    result<std::unique_ptr<redo::segment_file>> open(const std::string& name) override {
        return file(disk_.content().names.at(folder_ + name));
    }
    result<std::unique_ptr<redo::segment_file>> create(const std::string& name, std::uint64_t bytes) override {
        const int number = disk_.create(folder_ + name);
        disk_.perform({kind::write, number, 0, std::string(bytes, '\0')});
        disk_.perform({kind::sync, number, 0, {}});
        disk_.perform({kind::sync_directory, 0, 0, {}});
        return file(number);
    }
    result<std::string> put_aside() override { return error{error_kind::corrupt, "the redo log is damaged"}; }

  private:
    std::unique_ptr<redo::segment_file> file(int number) { return std::make_unique<memory_file>(disk_, number); }

    disk& disk_;
    std::string folder_;
};

} // namespace

std::unique_ptr<redo::segment_directory> segments_on(disk& d, const std::filesystem::path& folder) {
    return std::make_unique<memory_directory>(d, folder);
}

result<std::unique_ptr<session_store>> open_store(disk& d, const std::filesystem::path& database) {
    auto opened = open_sqlite_session_store(database);
    if (!opened) return opened.err();
    if (opened->put_aside) return error{error_kind::corrupt, "damaged: put aside"};
    auto store = std::make_unique<redo::redo_store>(std::move(opened->store), segments_on(d, redo_folder(database)),
                                                    small_segments);
    const auto recovered = store->recover();
    if (!recovered) return recovered.err();
    return std::unique_ptr<session_store>(std::move(store));
}

} // namespace fb::cut
