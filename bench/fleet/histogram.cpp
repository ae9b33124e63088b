#include "bench/fleet/histogram.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace fb::fleet {

std::size_t histogram::bucket_of(std::uint64_t ns) {
    if (ns < 1U << sub_bits) return ns;
    // The leading bit names the row, the next four bits the place in it.
    const auto shift = static_cast<unsigned>(std::bit_width(ns)) - 1 - sub_bits;
    return (std::size_t{shift} + 1) << sub_bits | (ns >> shift & ((1U << sub_bits) - 1));
}

std::uint64_t histogram::upper_edge(std::size_t bucket) {
    if (bucket < 1U << sub_bits) return bucket;
    const auto shift = (bucket >> sub_bits) - 1;
    const auto lower = ((std::uint64_t{1} << sub_bits) | (bucket & ((1U << sub_bits) - 1))) << shift;
    return lower + ((std::uint64_t{1} << shift) - 1);
}

std::uint64_t histogram::quantile_ns(double share) const {
    if (count_ == 0) return 0;
    const auto wanted =
        std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_))));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < bucket_count; ++i) {
        seen += buckets_[i];
        if (seen >= wanted) return upper_edge(i);
    }
    return upper_edge(bucket_count - 1);
}

} // namespace fb::fleet
