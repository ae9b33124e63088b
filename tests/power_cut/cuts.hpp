// Where the tests here cut the power: a sample of all boundaries, or as the environment says (see power_cut_test.cpp).
#pragma once

#include <cstdint>
#include <set>

#include "disk.hpp"

namespace fb::cut {

std::uint64_t cut_seed();

/// After how many operations power is lost: all, or some evenly and some directly before and after a sync.
std::set<std::size_t> cuts(const disk_log& log);

} // namespace fb::cut
