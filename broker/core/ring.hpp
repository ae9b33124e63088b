// A queue that grows: elements side by side in a circle, none allocated while nothing was ever in it. (std::deque holds
// 576 bytes from the start and allocates again every few elements that pass through it.)
//
// Invariants:
// (1) Whatever adds elements may move all of them: references and iterators end there.
// (2) Emptied, it keeps room for kept_max elements and gives back what is more.
#pragma once

#include <algorithm>
#include <boost/circular_buffer.hpp>
#include <cstddef>
#include <iterator>
#include <utility>

#include "broker/core/memory_use.hpp"

namespace fb::core {

template <class T>
class ring {
    using elements = boost::circular_buffer<T, counting_allocator<T>>;

  public:
    using iterator = typename elements::iterator;
    using const_iterator = typename elements::const_iterator;

    std::size_t size() const noexcept { return elements_.size(); }
    bool empty() const noexcept { return elements_.empty(); }
    std::size_t capacity() const noexcept { return elements_.capacity(); }

    iterator begin() noexcept { return elements_.begin(); }
    iterator end() noexcept { return elements_.end(); }
    const_iterator begin() const noexcept { return elements_.begin(); }
    const_iterator end() const noexcept { return elements_.end(); }
    auto rbegin() const noexcept { return elements_.rbegin(); }
    auto rend() const noexcept { return elements_.rend(); }

    // REQUIRES: not empty.
    T& front() { return elements_.front(); }
    T& back() { return elements_.back(); }
    const T& front() const { return elements_.front(); }
    const T& back() const { return elements_.back(); }

    T& push_back(T value) {
        make_room();
        elements_.push_back(std::move(value));
        return elements_.back();
    }
    T& push_front(T value) {
        make_room();
        elements_.push_front(std::move(value));
        return elements_.front();
    }
    void pop_front() {
        elements_.pop_front();
        give_back();
    }
    /// Moves whichever side is shorter.
    void erase(iterator at) {
        if (at - begin() < end() - at)
            elements_.rerase(at);
        else
            elements_.erase(at);
        give_back();
    }
    void erase(iterator first, iterator last) {
        elements_.erase(first, last);
        give_back();
    }
    void clear() {
        elements_.clear();
        give_back();
    }
    void swap(ring& other) noexcept { elements_.swap(other.elements_); }

    static constexpr std::size_t kept_max = 16;

  private:
    static constexpr std::size_t first_room = 4;

    void make_room() {
        if (elements_.full()) elements_.set_capacity(std::max(first_room, elements_.capacity() * 2));
    }
    void give_back() {
        if (elements_.empty() && elements_.capacity() > kept_max) elements_.set_capacity(0);
    }

    elements elements_;
};

template <class T, class Predicate>
void erase_if(ring<T>& from, Predicate unwanted) {
    from.erase(std::remove_if(from.begin(), from.end(), unwanted), from.end());
}

} // namespace fb::core
