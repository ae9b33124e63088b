#include "cuts.hpp"

#include <algorithm>
#include <cstdlib>

namespace fb::cut {
namespace {

constexpr std::size_t cuts_evenly = 100, cuts_at_syncs = 60;

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// `count` of these, or all when there are fewer.
void take_evenly(const std::vector<std::size_t>& from, std::size_t count, std::set<std::size_t>& into) {
    for (std::size_t i = 0; i < count && !from.empty(); ++i) into.insert(from[i * from.size() / count]);
}

} // namespace

std::uint64_t cut_seed() { return setting("FB_CUT_SEED", 1); }

std::set<std::size_t> cuts(const disk_log& log) {
    if (const std::uint64_t only = setting("FB_CUT_AT", 0); only != 0) return {std::min(only, log.size())};
    std::vector<std::size_t> all, at_syncs;
    for (std::size_t k = 0; k <= log.size(); ++k) {
        all.push_back(k);
        const bool before = k < log.size() && log[k].what == disk_operation::kind::sync;
        const bool after = k > 0 && log[k - 1].what == disk_operation::kind::sync;
        if (before || after) at_syncs.push_back(k);
    }
    if (std::getenv("FB_LONG") != nullptr) return {all.begin(), all.end()};
    std::set<std::size_t> chosen{log.size()};
    take_evenly(all, cuts_evenly, chosen);
    take_evenly(at_syncs, cuts_at_syncs, chosen);
    return chosen;
}

} // namespace fb::cut
