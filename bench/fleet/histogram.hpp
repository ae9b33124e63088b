// Counts durations in buckets whose width is a sixteenth of their size, so a percentile is right to about 6 %.
#pragma once

#include <array>
#include <cstdint>

namespace fb::fleet {

class histogram {
  public:
    void add(std::uint64_t ns) {
        ++buckets_[bucket_of(ns)];
        ++count_;
    }
    std::uint64_t count() const { return count_; }
    /// The upper edge, in ns, of the bucket that holds the given share (0 to 1) of all; 0 when there are none.
    std::uint64_t quantile_ns(double share) const;

  private:
    static constexpr unsigned sub_bits = 4;
    static constexpr std::size_t bucket_count = (64 - sub_bits + 1) << sub_bits;

    static std::size_t bucket_of(std::uint64_t ns);
    static std::uint64_t upper_edge(std::size_t bucket);

    std::array<std::uint64_t, bucket_count> buckets_{};
    std::uint64_t count_ = 0;
};

} // namespace fb::fleet
