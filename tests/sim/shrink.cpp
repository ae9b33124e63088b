#include <algorithm>

#include "tests/sim/runner.hpp"

namespace fb::sim {
namespace {

plan without(const plan& p, std::size_t first, std::size_t count) {
    plan shorter = p;
    const auto at = shorter.operations.begin() + static_cast<std::ptrdiff_t>(first);
    shorter.operations.erase(at, at + static_cast<std::ptrdiff_t>(count));
    return shorter;
}

/// What comes after the failing step has no part in it.
bool try_plan(plan& best, const plan& p) {
    const outcome o = run(p);
    if (!o.diverged) return false;
    best = p;
    best.operations.resize(std::min(best.operations.size(), static_cast<std::size_t>(o.step) + 1));
    return true;
}

} // namespace

plan shrink(plan p) {
    plan best = p;
    if (!try_plan(best, p)) return p;
    for (std::size_t size = std::max<std::size_t>(1, best.operations.size() / 2);;) {
        bool shorter = false;
        for (std::size_t at = 0; at < best.operations.size();) {
            const std::size_t count = std::min(size, best.operations.size() - at);
            if (try_plan(best, without(best, at, count)))
                shorter = true;
            else
                at += count;
        }
        if (size == 1 && !shorter) return best;
        if (!shorter || size > 1) size = std::max<std::size_t>(1, size / 2);
    }
}

std::string report(const plan& p, const outcome& o) {
    std::string text = "seed " + std::to_string(p.seed) + ", shards " + std::to_string(p.shards) +
                       (p.small_limits ? ", small limits" : "") + ", " + std::to_string(p.operations.size()) +
                       " operations, step " + std::to_string(o.step) + "\n";
    for (const std::string& line : o.story) text += "    " + line + "\n";
    return text + "  expected: " + o.expected + "\n  came: " + o.came + "\n";
}

} // namespace fb::sim
