#include "disk.hpp"

#include <algorithm>
#include <random>

namespace fb::cut {
namespace {

using kind = disk_operation::kind;

/// Each sector of a write is there or not.
void apply_torn(disk_image& image, const disk_operation& op, std::mt19937_64& random) {
    for (std::size_t done = 0; done < op.data.size();) {
        const std::size_t offset = op.offset + done;
        const std::size_t piece = std::min(sector_bytes - offset % sector_bytes, op.data.size() - done);
        if (random() % 2 == 0) image.apply({kind::write, op.file, offset, op.data.substr(done, piece)});
        done += piece;
    }
}

} // namespace

void disk_image::apply(const disk_operation& op) {
    std::string& file = files[op.file];
    switch (op.what) {
    case kind::create: names[op.data] = op.file; break;
    case kind::remove: names.erase(op.data); break;
    case kind::write:
        file.resize(std::max(file.size(), op.offset + op.data.size()));
        file.replace(op.offset, op.data.size(), op.data);
        break;
    case kind::truncate: file.resize(op.offset); break;
    case kind::sync:
    case kind::sync_directory: break;
    }
}

disk::disk(disk_image begin)
    : content_(std::move(begin)) {
    if (!content_.files.empty()) next_file_ = content_.files.rbegin()->first + 1;
}

void disk::perform(disk_operation op) {
    content_.apply(op);
    log_.push_back(std::move(op));
}

int disk::create(const std::string& name) {
    const int file = next_file_++;
    perform({kind::create, file, 0, name});
    return file;
}

power_cut::power_cut(const disk_log& log, disk_image begin, lies_function lies)
    : log_(log)
    , durable_(std::move(begin))
    , lies_(std::move(lies)) {
    for (const auto& [name, file] : durable_.names) name_of_[file] = name;
}

disk_image power_cut::after(std::size_t k, std::uint64_t seed) {
    while (passed_ < k) pass(passed_++);
    enum { none, all, some, some_torn };
    std::mt19937_64 random(seed);
    const auto left = random() % 4;
    disk_image image = durable_;
    std::size_t names = left == none ? 0 : unsynced_names_.size();
    if (left == some || left == some_torn) names = random() % (names + 1);
    for (std::size_t i = 0; i < names; ++i) image.apply(log_[unsynced_names_[i]]);
    const auto pending = unsynced();
    for (const std::size_t at : pending) {
        const bool torn = left == some_torn && at == pending.back();
        if (torn)
            apply_torn(image, log_[at], random);
        else if (left == all || (left != none && random() % 2 == 0))
            image.apply(log_[at]);
    }
    return image;
}

void power_cut::pass(std::size_t at) {
    const disk_operation& op = log_[at];
    switch (op.what) {
    case kind::create: name_of_[op.file] = op.data; [[fallthrough]];
    case kind::remove: unsynced_names_.push_back(at); break;
    case kind::sync_directory:
        if (lies_ && lies_("")) break;
        for (const std::size_t earlier : unsynced_names_) durable_.apply(log_[earlier]);
        unsynced_names_.clear();
        break;
    case kind::write:
    case kind::truncate: unsynced_[op.file].push_back(at); break;
    case kind::sync:
        if (lies(op.file)) break;
        for (const std::size_t earlier : unsynced_[op.file]) durable_.apply(log_[earlier]);
        unsynced_.erase(op.file);
        break;
    }
}

bool power_cut::lies(int file) const {
    const auto name = name_of_.find(file);
    return lies_ && name != name_of_.end() && lies_(name->second);
}

std::vector<std::size_t> power_cut::unsynced() const {
    std::vector<std::size_t> all;
    for (const auto& [file, where] : unsynced_) all.insert(all.end(), where.begin(), where.end());
    std::sort(all.begin(), all.end());
    return all;
}

} // namespace fb::cut
