// A long day of a broker, recorded: publishers and subscribers of both versions that come and go on two shards,
// restarts in between. The engine is the real one (transcript.hpp), and so is everything below it down to SQLite's
// calls.
#pragma once

#include <filesystem>

#include "promises.hpp"
#include "state_path.hpp"

namespace fb::cut {

struct recording {
    disk_log log;
    std::vector<commit> commits;
    std::vector<promise> promises; // by `at`
    int messages = 0;              // accepted and acknowledged, QoS 1 and 2
};

/// `d` is in the VFS, empty. The file's directory exists.
recording record_load(disk& d, const std::filesystem::path& file, std::uint64_t seed, int messages);

} // namespace fb::cut
