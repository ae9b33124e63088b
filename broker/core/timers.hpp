// Deadlines of one shard: at most one per slot of a table, earliest first, moved in place. However often clients come
// and go, there are never more entries than slots. The owner looks, when a slot comes due, what it still means, and
// arms it again for whatever comes next. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "broker/core/clock.hpp"

namespace fb::core {

class deadlines {
  public:
    /// The slot comes due at `when_ms` (monotonic), or earlier if it was armed for an earlier time already.
    void arm(std::uint32_t slot, std::int64_t when_ms) {
        if (when_ms == never) return;
        if (slot >= place_.size()) place_.resize(slot + std::size_t{1}, none);
        if (place_[slot] == none) {
            place_[slot] = static_cast<std::uint32_t>(heap_.size());
            heap_.push_back({when_ms, slot});
        } else if (when_ms < heap_[place_[slot]].when_ms) {
            heap_[place_[slot]].when_ms = when_ms;
        } else {
            return;
        }
        rise(place_[slot]);
    }

    void clear(std::uint32_t slot) {
        if (slot >= place_.size() || place_[slot] == none) return;
        const std::uint32_t at = place_[slot];
        exchange(at, static_cast<std::uint32_t>(heap_.size() - 1));
        heap_.pop_back();
        place_[slot] = none;
        if (at == heap_.size()) return;
        rise(at);
        sink(at);
    }

    std::int64_t next() const noexcept { return heap_.empty() ? never : heap_.front().when_ms; }

    /// Takes the earliest slot if it is due.
    bool pop_due(std::int64_t mono_ms, std::uint32_t& slot) {
        if (next() > mono_ms || heap_.empty()) return false;
        slot = heap_.front().slot;
        clear(slot);
        return true;
    }

    std::size_t size() const noexcept { return heap_.size(); }

  private:
    static constexpr std::uint32_t none = 0xFFFF'FFFF;
    struct entry {
        std::int64_t when_ms;
        std::uint32_t slot;
    };

    void exchange(std::uint32_t a, std::uint32_t b) {
        std::swap(heap_[a], heap_[b]);
        place_[heap_[a].slot] = a;
        place_[heap_[b].slot] = b;
    }
    void rise(std::uint32_t at) {
        while (at > 0 && heap_[at].when_ms < heap_[(at - 1) / 2].when_ms) {
            exchange(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }
    void sink(std::uint32_t at) {
        for (;;) {
            std::size_t least = at;
            for (std::size_t child = 2ull * at + 1; child <= 2ull * at + 2 && child < heap_.size(); ++child) {
                if (heap_[child].when_ms < heap_[least].when_ms) least = child;
            }
            if (least == at) return;
            exchange(at, static_cast<std::uint32_t>(least));
            at = static_cast<std::uint32_t>(least);
        }
    }

    std::vector<entry> heap_;
    std::vector<std::uint32_t> place_; // by slot: where in the heap
};

} // namespace fb::core
