#include "fota/block_cache.hpp"

#include <algorithm>

namespace fb::fota {
namespace {

constexpr std::size_t open_files_max = 8;

} // namespace

block_cache::block_cache(storage::blob_files blobs, std::size_t bytes_max)
    : blobs_(std::move(blobs))
    , bytes_max_(bytes_max) {}

storage::result<std::string> block_cache::read(const std::string& sha256, std::uint64_t offset, std::size_t length) {
    std::string out;
    out.reserve(length);
    while (out.size() < length) {
        const auto at = offset + out.size();
        auto found = block_at(sha256, at / block_bytes);
        if (!found) return found.err();
        const std::string& data = **found;
        const auto begin = static_cast<std::size_t>(at % block_bytes);
        if (begin >= data.size()) break;
        out.append(data, begin, length - out.size());
        if (data.size() < block_bytes) break; // the last block
    }
    return out;
}

storage::result<const std::string*> block_cache::block_at(const std::string& sha256, std::uint64_t number) {
    if (const auto found = index_.find({sha256, number}); found != index_.end()) {
        recent_.splice(recent_.begin(), recent_, found->second);
        return &recent_.front().data;
    }
    const auto file = file_of(sha256);
    if (!file) return file.err();
    std::string data(block_bytes, '\0');
    const auto count = (*file)->read(static_cast<std::int64_t>(number * block_bytes), data);
    if (!count) return count.err();
    ++disk_reads_;
    data.resize(*count);
    data.shrink_to_fit();
    keep({sha256, number, std::move(data)});
    return &recent_.front().data;
}

storage::result<const storage::blob_reader*> block_cache::file_of(const std::string& sha256) {
    const auto found = std::find_if(files_.begin(), files_.end(), [&](const auto& f) { return f.sha256 == sha256; });
    if (found != files_.end()) {
        files_.splice(files_.begin(), files_, found);
        return &files_.front().reader;
    }
    auto opened = blobs_.open_blob(sha256);
    if (!opened) return opened.err();
    files_.push_front({sha256, std::move(*opened)});
    if (files_.size() > open_files_max) files_.pop_back();
    return &files_.front().reader;
}

void block_cache::keep(block b) {
    bytes_ += b.data.size();
    recent_.push_front(std::move(b));
    index_[{recent_.front().sha256, recent_.front().number}] = recent_.begin();
    while (bytes_ > bytes_max_ && recent_.size() > 1) { // the newest stays: its caller is about to read it
        bytes_ -= recent_.back().data.size();
        index_.erase({recent_.back().sha256, recent_.back().number});
        recent_.pop_back();
    }
}

} // namespace fb::fota
