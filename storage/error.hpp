// What can go wrong in a store, as a kind that callers act on plus words for people.
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace fb::storage {

enum class error_kind {
    conflict,    // a unique or compare-and-set rule says no: somebody was faster, or it exists already
    not_found,   // the row this is about does not exist
    invalid,     // the store refuses the value: a constraint
    busy,        // locked by somebody else for longer than the time limit: try again
    unavailable, // cannot be reached or written now (disk full, read-only, server away): try again later
    corrupt,     // the file is damaged
    schema,      // of another version than this program
};

const char* to_string(error_kind kind) noexcept;

struct error {
    error_kind kind = error_kind::unavailable;
    std::string text; // names the file or table and what to do

    bool retryable() const noexcept { return kind == error_kind::busy || kind == error_kind::unavailable; }
};

/// A value or an error. Deliberately small: no exceptions cross a store's interface.
template <class T>
class result {
  public:
    result(T value)
        : state_(std::in_place_index<0>, std::move(value)) {}
    result(error e)
        : state_(std::in_place_index<1>, std::move(e)) {}

    explicit operator bool() const noexcept { return state_.index() == 0; }
    T& operator*() { return std::get<0>(state_); }
    const T& operator*() const { return std::get<0>(state_); }
    T* operator->() { return &std::get<0>(state_); }
    const T* operator->() const { return &std::get<0>(state_); }
    const error& err() const { return std::get<1>(state_); }

  private:
    std::variant<T, error> state_;
};

struct done {};
using status = result<done>;

} // namespace fb::storage
